// Interceptors run around a call. Both sides have the same small hook.

import { invalidArgument } from "../base/errors.ts";
import type { CallContext } from "./callContext.ts";
import type { RemoteOptions } from "./remote.ts";

/** A call as an interceptor of its server sees it. */
export interface ServedCallInfo {
  /** The method's name, with dots. */
  readonly method: string;
  /** The arguments as the caller sent them, before a schema has checked them. */
  readonly args: readonly unknown[];
  /** The context of the call. */
  readonly context: CallContext;
}

/** A call as an interceptor of its caller sees it. */
export interface MadeCallInfo {
  /** The method's name, with dots. */
  readonly method: string;
  /** The arguments that are sent. */
  readonly args: readonly unknown[];
  /** The options of the call. A change applies to the next `next()`. */
  options: RemoteOptions;
  /** A one-way call: it resolves with undefined once it has left. */
  readonly isOneWay: boolean;
  /** An earlier answer of the server said that the method may run again even if nobody knows whether it ran. */
  readonly isIdempotent: boolean;
  /** The arguments had streams when the call was made first, so it can't be made again. */
  readonly hasStreams: boolean;
}

/**
 * Runs around a call: `(call, next) => next()`. It returns the value of `next()` or another value, or throws. The first
 * one of `use` is outermost.
 */
export type Interceptor<Call> = (call: Call, next: () => Promise<unknown>) => unknown;

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function checkInterceptors<Call>(
  use: readonly Interceptor<Call>[] | undefined,
): readonly Interceptor<Call>[] {
  if (use === undefined) return [];
  if (!Array.isArray(use) || use.some((one) => typeof one !== "function")) {
    throw invalidArgument("use", "an array of functions");
  }
  return [...use];
}

/** Runs a call through its interceptors to `last`. Each may call `next` again. */
export async function intercepted<Call>(
  use: readonly Interceptor<Call>[],
  call: Call,
  last: () => unknown,
): Promise<unknown> {
  const run = async (index: number): Promise<unknown> => {
    const one = use[index];
    return one === undefined ? last() : one(call, () => run(index + 1));
  };
  return run(0);
}
