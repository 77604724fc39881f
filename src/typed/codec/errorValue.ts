// Errors as values: the parts that are carried, and how an error is made from them. Stacks are not sent.

import { errorClasses } from "./valueKind.ts";

/** Properties of errors that are not enumerable and are still part of the value. */
const hiddenNames = ["cause", "errors"] as const;

/** The parts of an error beside its class and its enumerable properties. */
export interface ErrorProperties {
  /** undefined: it has no message of its own. */
  readonly message: unknown;
  /** `cause` and `errors` if the error has them. */
  readonly hidden: Record<string, unknown>;
}

function hiddenProperty(error: object, name: string): PropertyDescriptor | undefined {
  const property = Object.getOwnPropertyDescriptor(error, name);
  return property === undefined || property.enumerable === true ? undefined : property;
}

/** Reads each part once. */
export function errorProperties(error: Error): ErrorProperties {
  const read = (name: string): unknown => (error as unknown as Record<string, unknown>)[name];
  const hidden: Record<string, unknown> = {};
  for (const name of hiddenNames) {
    if (hiddenProperty(error, name) !== undefined) hidden[name] = read(name);
  }
  return { message: hiddenProperty(error, "message") === undefined ? undefined : read("message"), hidden };
}

/** Whether a hidden property may be set from a peer's value. */
export function isHiddenPart(name: string): boolean {
  return (hiddenNames as readonly string[]).includes(name);
}

/**
 * Makes an error from its parts. Properties are defined, not assigned, so that no setter runs. `stack` contains only
 * the error itself, because a stack of this program would mislead.
 *
 * @param name the name of one of the language's classes
 */
export function errorOf(
  name: string,
  message: string | undefined,
  properties: Record<string, unknown>,
  hidden: Record<string, unknown>,
): Error {
  const Class = errorClasses.get(name)!;
  // AggregateError takes its errors first; they are defined below.
  const error: Error =
    name === "AggregateError"
      ? (new (Class as unknown as new (errors: unknown[], message?: string) => Error)([], message) as Error)
      : new Class(message);
  const define = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
  };
  // An AggregateError that had no own `errors`.
  if (name === "AggregateError" && !("errors" in hidden)) Reflect.deleteProperty(error, "errors");
  define("stack", message === undefined || message === "" ? name : `${name}: ${message}`, false);
  for (const [key, value] of Object.entries(hidden)) define(key, value, false);
  for (const [key, value] of Object.entries(properties)) define(key, value, true);
  return error;
}
