// The runtimes' garbage collectors, on demand.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects garbage; undefined where the runtime lets no program do so. */
export const collectGarbage: (() => void) | undefined = findCollector();

function findCollector(): (() => void) | undefined {
  const { Bun } = globalThis as { Bun?: { gc(synchronously: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  try {
    setFlagsFromString("--expose-gc");
    const gc: unknown = runInNewContext("gc");
    return typeof gc === "function" ? () => gc() : undefined;
  } catch {
    return undefined;
  }
}
