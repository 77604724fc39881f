// Errors of typed calls: those that a method throws for its caller, and those of this layer.

import { invalidArgument, isReceived, noteReceived } from "../base/errors.ts";
import { MAX_CODE_LENGTH } from "../protocol/errorBody.ts";

/** The codes of this layer. A method can't use them, because its codes do not begin with ERR_. */
export type RpcErrorCode =
  | "ERR_NO_METHOD" // the other side has no method of this name
  | "ERR_BAD_INPUT" // the arguments are not what the method takes; `data.issues` has what its schema says
  | "ERR_BAD_ANSWER" // what the method gave can't be sent, or is no answer of a typed call
  | "ERR_INTERNAL" // the method failed; the reason stays at its side
  | "ERR_CODEC" // the two sides use different codecs, or different versions of a codec or of typed calls
  | "ERR_NO_STREAM"; // the stream does not exist, or no longer exists

/** An error that crosses the wire: a method throws it, its caller gets it. */
export class RpcError<Code extends string = string, Data = unknown> extends Error {
  /** The kind of error: the method's own code, or an `RpcErrorCode`. */
  readonly code: Code;
  /** Any value that the codec carries. */
  readonly data: Data;
  /** At the caller: the method that was called. */
  readonly method: string | undefined;

  /**
   * An error for the caller of a method.
   *
   * @param code 1 to 64 visible characters of ASCII. It must not begin with "ERR_", like the codes of this package
   * @param message for people; it reaches the caller. Default: the code
   * @param data for the caller's program
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  constructor(code: Code, message: string = code, data?: Data) {
    if (!isCode(code) || code.startsWith("ERR_")) {
      throw invalidArgument("code", `1 to ${MAX_CODE_LENGTH} characters of ASCII, not beginning with "ERR_"`);
    }
    if (typeof message !== "string") throw invalidArgument("message", "a string");
    super(message);
    this.name = "RpcError";
    this.code = code;
    this.data = data as Data;
    this.method = undefined;
  }
}

/** Whether text can be the code of an error. */
export function isCode(code: unknown): code is string {
  return typeof code === "string" && code.length <= MAX_CODE_LENGTH && /^[\x21-\x7e]+$/.test(code);
}

/** An error at its caller. */
export function receivedError(code: string, message: string, data: unknown, method: string): RpcError {
  const error = ownError(code, message, data, method);
  noteReceived(error);
  return error;
}

/** An error with a code of this layer, or of a peer. */
export function ownError(code: string, message: string, data?: unknown, method?: string): RpcError {
  // Made without this class's constructor, which refuses the codes of this package.
  const error = Reflect.construct(Error, [message], RpcError) as RpcError;
  const hidden = { writable: true, configurable: true };
  Object.defineProperty(error, "name", { value: "RpcError", ...hidden });
  // Bun gives such an error no stack.
  if (typeof error.stack !== "string") {
    Object.defineProperty(error, "stack", { value: new Error(message).stack, ...hidden });
  }
  return Object.assign(error, { code, data, method });
}

/** The parts of a thrown error that a caller gets. */
export interface ErrorParts {
  readonly code: string;
  readonly message: string;
  readonly data: unknown;
}

/**
 * The parts of an RpcError; undefined for everything else. Never throws, whatever was thrown. Of an error that came
 * from another peer only the code is passed on, and of this layer's codes not even that, because they are about another
 * call.
 */
export function partsOfError(thrown: unknown): ErrorParts | undefined {
  try {
    if (!(thrown instanceof RpcError)) return undefined;
    const { code, message, data } = thrown;
    if (!isCode(code) || typeof message !== "string") return undefined;
    if (!isReceived(thrown)) return { code, message, data };
    return code.startsWith("ERR_") ? undefined : { code, message: code, data: undefined };
  } catch {
    return undefined;
  }
}
