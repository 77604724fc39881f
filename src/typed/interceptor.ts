// Interceptors run around a call. Both sides have the same small hook.

import { invalidArgument } from "../base/errors.ts";
import type { CallContext } from "./callContext.ts";
import type { RemoteOptions } from "./remote.ts";

/** A call as an interceptor of its server sees it. */
export interface ServedCallInfo {
  /** The method's name, with dots. */
  readonly method: string;
  /** What the caller sent, before any schema has seen it. */
  readonly args: readonly unknown[];
  /** Who calls, and what goes with it. */
  readonly context: CallContext;
}

/** A call as an interceptor of its caller sees it. */
export interface MadeCallInfo {
  /** The method's name, with dots. */
  readonly method: string;
  /** What is sent. */
  readonly args: readonly unknown[];
  /** How it is called. What is changed here holds for the next `next()`. */
  options: RemoteOptions;
  /** A one-way call: it resolves with undefined once it has left. */
  readonly isOneWay: boolean;
  /** Its server has said, with an earlier answer, that it may be called again when nobody knows whether it ran. */
  readonly isIdempotent: boolean;
  /** Its arguments had streams, when it was made first: it can't be made again. */
  readonly hasStreams: boolean;
}

/**
 * Runs around a call: `(call, next) => next()`. It gives what `next()` gave, or something else, or throws. What stands
 * first in `use` is outermost.
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
