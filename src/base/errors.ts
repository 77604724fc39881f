/**
 * Every way in which a call can fail, as a stable code. The codes are part of the public API: a version may
 * add codes, and no code changes its meaning.
 */
export type ErrorCode =
  // The caller's mistakes: thrown at once, before anything is sent.
  | "ERR_INVALID_ARGUMENT" // an argument or option has the wrong type, length or value; the message names it
  | "ERR_MESSAGE_TOO_LARGE" // a body exceeds what this connection may send
  | "ERR_ALREADY_ANSWERED" // a second reply() to one request
  | "ERR_ENCODE" // a codec can't carry the value unchanged, or it breaks a limit; `path` says where
  // The machine lacks something.
  | "ERR_UNSUPPORTED" // the runtime lacks WebAssembly SIMD, random bytes, or the engine that was forced; a part of the package is missing
  // Cryptography. A failed decryption is one code, whatever the cause.
  | "ERR_DECRYPT" // a frame or message did not authenticate
  | "ERR_WEAK_PUBLIC_KEY" // X25519 gave the all-zero shared secret (RFC 7748 section 6.1); an ML-KEM key failed the modulus check
  | "ERR_COUNTER_EXHAUSTED" // 2^64 - 1 frames under one key
  // The peer broke a rule. Its connection closes, and nothing else is affected.
  | "ERR_FRAME_TOO_LARGE" // announced length above the limit
  | "ERR_FRAME_TOO_SHORT" // announced length below a tag and a header
  | "ERR_HANDSHAKE" // the handshake failed; `cause` says why where it is safe to say
  | "ERR_UNAUTHORIZED" // authorize() refused the peer, or its static key is not the pinned one
  | "ERR_PROTOCOL" // a well-formed frame that the protocol does not allow
  | "ERR_DECODE" // a body that breaks the format or a limit of its codec
  | "ERR_REMOTE" // the far handler failed; `remoteCode` and the message are the far side's
  // Time-outs.
  | "ERR_DIAL_TIMEOUT"
  | "ERR_HANDSHAKE_TIMEOUT"
  | "ERR_REQUEST_TIMEOUT"
  | "ERR_READ_TIMEOUT" // nothing arrived for `readTimeoutMs`, or no answer to a heartbeat
  | "ERR_WRITE_TIMEOUT" // the peer took nothing for `writeTimeoutMs`
  // Lifecycle and limits.
  | "ERR_DIAL_FAILED" // no connection; `cause` is the runtime's error
  | "ERR_CONNECTION_LOST" // the connection ended while this call was pending; `cause` says why
  | "ERR_CLOSED" // the client, server or connection was closed by this side, or a key was destroyed
  | "ERR_ABORTED" // the caller's AbortSignal; `cause` is its reason
  | "ERR_BACKPRESSURE" // the hard limit of bytes waiting to be sent
  | "ERR_TOO_MANY_REQUESTS" // the limit of requests in flight
  | "ERR_STREAM_STOPPED" // the other side takes no more of this stream
  | "ERR_LISTEN_FAILED"; // the address could not be bound; `cause` is the runtime's error

export interface SealwireErrorOptions {
  cause?: unknown;
  /** For ERR_REMOTE: the code that the far side sent. */
  remoteCode?: string | undefined;
  /** True: the handler has not begun and will not begin. */
  notBegun?: boolean;
  /** For ERR_REMOTE: the bytes of the far handler's error's `data`. */
  data?: Uint8Array | undefined;
  /** For ERR_ENCODE and ERR_DECODE: the place in the value, e.g. `$.users[3].born`. */
  path?: string | undefined;
}

/** The one error class of this package. Switch on `code`; the message is for people. */
export class SealwireError extends Error {
  /** The kind of the failure; stable. */
  readonly code: ErrorCode;
  /** For ERR_REMOTE: the code that the far side sent. */
  readonly remoteCode: string | undefined;
  /**
   * True if it is certain that no handler has begun this call or will begin it: the caller may safely repeat
   * it, here or elsewhere. False if a handler may have run, or if nobody can know.
   */
  readonly notBegun: boolean;
  /** For ERR_REMOTE: the bytes of the far handler's error's `data`, at most 16,384. */
  readonly data: Uint8Array | undefined;
  /** For ERR_ENCODE and ERR_DECODE: the place in the value, e.g. `$.users[3].born`. */
  readonly path: string | undefined;

  /** `message` is for people; `options.cause` is the reason. */
  constructor(code: ErrorCode, message: string, options?: SealwireErrorOptions) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SealwireError";
    this.code = code;
    this.remoteCode = options?.remoteCode;
    this.notBegun = options?.notBegun ?? false;
    this.data = options?.data;
    this.path = options?.path;
  }
}

/**
 * Whether a thrown value is an error of this package. Never throws, whatever the value is, although
 * `instanceof` throws for a revoked proxy and for a proxy whose handler throws.
 */
export function isSealwireError(thrown: unknown): thrown is SealwireError {
  try {
    return thrown instanceof SealwireError;
  } catch {
    return false;
  }
}

/** The error for a caller's mistake. `name` is the argument or option; `expected` completes "must be …". */
export function invalidArgument(name: string, expected: string): SealwireError {
  return new SealwireError("ERR_INVALID_ARGUMENT", `${name} must be ${expected}`);
}

const received = new WeakSet<object>();

/** The error came from a peer, so what it says is not for another peer. */
export function noteReceived(error: object): void {
  received.add(error);
}

/** Whether an error was noted as one that came from a peer. Never throws. */
export function isReceived(thrown: unknown): boolean {
  return received.has(thrown as object);
}
