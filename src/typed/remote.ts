// The types that `typed` returns: the caller's side of an API, flat enough to be read in an editor.

import type { Method } from "./method.ts";
import type { RpcError } from "./rpcError.ts";
import type { RemoteStream } from "./streamReader.ts";

/** Options of one call. */
export interface RemoteOptions {
  /**
   * Milliseconds until the call fails with ERR_REQUEST_TIMEOUT, streams included; 0: no limit. The method learns the
   * time that is left. Default: the connection's `requestTimeoutMs`, for the answer alone.
   */
  timeoutMs?: number | undefined;
  /** Aborts the call: it rejects with ERR_ABORTED, its streams end, and the method's `signal` aborts. */
  signal?: AbortSignal | undefined;
  /** W3C Trace Context's `traceparent`, up to 256 bytes. */
  traceParent?: string | undefined;
}

/**
 * The value of a promise, or the type itself. `Awaited` means the same for more types, and took a compiler twice as
 * long for an API.
 */
export type Settled<Result> =
  Result extends Promise<infer Value> ? Value : Result extends PromiseLike<infer Value> ? Value : Result;

/** The type of a result at the caller: streams become streams of the other side; other types stay. */
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
  /** A call without an answer. Resolves when the kernel has it, which does not mean that the method has run. */
  $oneWay(...args: Args): Promise<void>;
}

/** The arguments of a method's call. */
export type MethodArguments<Input> = undefined extends Input
  ? [input?: Input, options?: RemoteOptions]
  : [input: Input, options?: RemoteOptions];

/** A function that `method` made, at the caller. */
export interface RemoteMethod<Input, Result, Errors> {
  (...args: MethodArguments<Input>): Promise<Result>;
  /** The same with options: `remote.find.$with({ timeoutMs: 500 })(input)`. */
  $with(options: RemoteOptions): (...args: MethodArguments<Input>) => Promise<Result>;
  /** A call without an answer. Resolves when the kernel has it, which does not mean that the method has run. */
  $oneWay(...args: MethodArguments<Input>): Promise<void>;
  /** For types only: the errors that the method declares. */
  readonly "~errors"?: Errors;
}

/** A method or group of an API, at the caller. */
export type RemotePart<Part> =
  Part extends Method<infer Input, infer Result, infer Errors>
    ? // A group of any names has no property that could contradict.
      string extends keyof Part
      ? Remote<Part>
      : RemoteMethod<Input, Received<Settled<Result>>, Errors>
    : Part extends (...args: infer Args) => infer Result
      ? RemoteFunction<Args, Received<Settled<Result>>>
      : Remote<Part>;

/** An API at the caller: each method returns a promise. */
export type Remote<Api> = { readonly [Name in keyof Api]: RemotePart<Api[Name]> };

/** The errors that a method of `Errors` declares, each code with its data. */
export type DeclaredError<Errors> = {
  [Code in keyof Errors & string]: RpcError<Code, Errors[Code]>;
}[keyof Errors & string];
