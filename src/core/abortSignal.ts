// AbortSignals of any realm: jsdom, node:vm and polyfills have classes of their own, which `instanceof` does not know.

/** The members of a signal that this package uses. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: { handleEvent(): void }): void;
  removeEventListener(type: "abort", listener: { handleEvent(): void }): void;
}

/**
 * The AbortSignal of the program's own types, from the DOM library or @types/node. In a program with neither, it is the
 * part of a signal that this package uses. Published declarations name this type (scripts/buildDist.js).
 */
export type AbortSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : AbortSignalLike;

/** Whether a value can be used as an AbortSignal. Never throws. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { aborted, addEventListener, removeEventListener } = value as AbortSignalLike;
    return (
      typeof aborted === "boolean" &&
      typeof addEventListener === "function" &&
      typeof removeEventListener === "function"
    );
  } catch {
    return false;
  }
}
