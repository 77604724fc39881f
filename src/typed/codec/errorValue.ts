// Errors as values: what of them is carried, and how they are made again. Stacks stay at home.

import { errorClasses } from "./valueKind.ts";

/** Properties of errors that are not enumerable and belong to the value nevertheless. */
const hiddenNames = ["cause", "errors"] as const;

/** What an error has beside its class and its enumerable properties. */
export interface ErrorParts {
  /** undefined: it has no message of its own. */
  readonly message: unknown;
  /** `cause` and `errors` where the error has them. */
  readonly hidden: Record<string, unknown>;
}

function hiddenProperty(error: object, name: string): PropertyDescriptor | undefined {
  const property = Object.getOwnPropertyDescriptor(error, name);
  return property === undefined || property.enumerable === true ? undefined : property;
}

/** Reads each part once. */
export function errorParts(error: Error): ErrorParts {
  const read = (name: string): unknown => (error as unknown as Record<string, unknown>)[name];
  const hidden: Record<string, unknown> = {};
  for (const name of hiddenNames) {
    if (hiddenProperty(error, name) !== undefined) hidden[name] = read(name);
  }
  return { message: hiddenProperty(error, "message") === undefined ? undefined : read("message"), hidden };
}

/** Whether a hidden part may be set from what a peer sent. */
export function isHiddenPart(name: string): boolean {
  return (hiddenNames as readonly string[]).includes(name);
}

/**
 * The error of its parts. Properties are defined, not assigned, so that no setter runs; `stack` says what the error is
 * and no more: a stack of this program would mislead.
 *
 * @param name of one of the language's classes
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
  // An own `errors` of an AggregateError that had none.
  if (name === "AggregateError" && !("errors" in hidden)) Reflect.deleteProperty(error, "errors");
  define("stack", message === undefined || message === "" ? name : `${name}: ${message}`, false);
  for (const [key, value] of Object.entries(hidden)) define(key, value, false);
  for (const [key, value] of Object.entries(properties)) define(key, value, true);
  return error;
}
