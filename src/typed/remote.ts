// The types that `typed` returns: the caller's side of an API, flat enough to be read in an editor.

import type { Method } from "./method.ts";
import type { RpcError } from "./rpcError.ts";
import type { RemoteStream } from "./streamReader.ts";

/** Options of one call. */
export interface RemoteOptions {
  /**
   * Milliseconds until the call fails with ERR_REQUEST_TIMEOUT, streams included; 0: no limit. The method learns how much of
   * it is left. Default: the connection's `requestTimeoutMs`, for the answer alone.
   */
  timeoutMs?: number | undefined;
  /** Gives up: the call rejects with ERR_ABORTED, its streams end, and the method is told. */
  signal?: AbortSignal | undefined;
  /** W3C Trace Context's `traceparent`, up to 256 bytes. */
  traceParent?: string | undefined;
}

/**
 * What a promise gives, or what is none. `Awaited` says the same of more, and made a compiler do twice as much for an API.
 */
export type Settled<Result> =
  Result extends Promise<infer Value> ? Value : Result extends PromiseLike<infer Value> ? Value : Result;

/** What a result is at the caller: streams become streams of the other side, all else is what it is. */
export type Received<Result> =
  Result extends AsyncIterable<infer Item>
    ? RemoteStream<
        Item,
        Result extends AsyncGenerator<Item, infer Returned, infer _Next> ? Returned : unknown
      >
    : Result;

/** A plain function at the caller. */
export interface RemoteFunction<Args extends readonly unknown[], Result> {
  (...args: Args): Promise<Result>;
  /** The same with options: `remote.echo.$with({ timeoutMs: 500 })("text")`. */
  $with(options: RemoteOptions): (...args: Args) => Promise<Result>;
  /** Calls without an answer. Resolves when the kernel has it, which says nothing about the method having run. */
  $oneWay(...args: Args): Promise<void>;
}

/** The arguments of a method's call. */
export type MethodArguments<Input> = undefined extends Input
  ? [input?: Input, options?: RemoteOptions]
  : [input: Input, options?: RemoteOptions];

/** What `method` made, at the caller. */
export interface RemoteMethod<Input, Result, Errors> {
  (...args: MethodArguments<Input>): Promise<Result>;
  /** The same with options: `remote.find.$with({ timeoutMs: 500 })(input)`. */
  $with(options: RemoteOptions): (...args: MethodArguments<Input>) => Promise<Result>;
  /** Calls without an answer. Resolves when the kernel has it, which says nothing about the method having run. */
  $oneWay(...args: MethodArguments<Input>): Promise<void>;
  /** For types only: the errors that the method declares. */
  readonly "~errors"?: Errors;
}

/** A part of an API at the caller. */
export type RemotePart<Part> =
  Part extends Method<infer Input, infer Result, infer Errors>
    ? RemoteMethod<Input, Received<Settled<Result>>, Errors>
    : Part extends (...args: infer Args) => infer Result
      ? RemoteFunction<Args, Received<Settled<Result>>>
      : Remote<Part>;

/** An API at the caller: each method gives a promise. */
export type Remote<Api> = { readonly [Name in keyof Api]: RemotePart<Api[Name]> };

/** The errors that a method of `Errors` declares, each code with its data. */
export type DeclaredError<Errors> = {
  [Code in keyof Errors & string]: RpcError<Code, Errors[Code]>;
}[keyof Errors & string];
