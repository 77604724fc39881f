// Defines the numbers that limit a connection, a client or a server. Each option has its default and its check here.

import { invalidArgument, SealwireError } from "./errors.ts";

/** The identity of the peer, as far as the handshake proved it. */
export interface PeerIdentity {
  /** The protocol that ran, e.g. "v1" or "Noise_XXhfs_25519+MLKEM768_AESGCM_BLAKE2b". */
  readonly protocol: string;
  /** True if the handshake proved something about the peer: a shared psk or its static key. */
  readonly authenticated: boolean;
  /** The peer's 32-byte static public key, if the pattern carries one. */
  readonly remoteStaticKey: Uint8Array | undefined;
  /** Channel binding (Noise section 11.2): 64 bytes, equal on both ends and unique to this session. */
  readonly handshakeHash: Uint8Array | undefined;
}

/**
 * Limits and time-outs of one connection. Times are in milliseconds. 0 switches a time-out off, with two
 * exceptions: `drainTimeoutMs: 0` cuts at once, and `heartbeatTimeoutMs` is at least 1.
 */
export interface ConnectionLimits {
  /**
   * The longest sealed frame (header, body, padding and 16-byte tag) that is accepted or sent. If the peer
   * announces a longer one, the connection closes; a longer body of this side is refused with
   * ERR_MESSAGE_TOO_LARGE. Default 1 MiB.
   */
  maxFrameBytes?: number;
  /**
   * With this many unsent bytes or more on a connection, its `sendNoWait` returns false. Protocol v2: also if the peer
   * gives no credit and has more than so many bytes that it did not handle. Default 1 MiB.
   */
  highWaterMarkBytes?: number;
  /**
   * Hard limit of unsent bytes. A `send` or `request` whose body would exceed it rejects with
   * ERR_BACKPRESSURE; a body always fits if nothing is before it. While replies exceed it, no further message
   * is handled. Default 16 MiB, and at least four times `maxFrameBytes`.
   */
  maxPendingBytes?: number;
  /**
   * Requests of this side that wait for answers, per connection; further ones reject with
   * ERR_TOO_MANY_REQUESTS. Protocol v2: with those that were given up and that the peer has not ended, four
   * times as many are at the peer; further ones wait. Default 1,024.
   */
  maxInFlightRequests?: number;
  /**
   * Protocol v2: unfinished requests and calls of the peer on one connection. Further ones wait at the peer.
   * At least 128. Default 1,024.
   */
  maxRequests?: number;
  /** Protocol v2: calls with streams among these. At least 128. Default 128. */
  maxStreams?: number;
  /**
   * Protocol v2: bytes of messages and requests that the peer may send before their handlers have begun (each
   * counts 64 bytes more than its body). The library raises it, up to 4 MiB, while handlers keep up, and on long paths
   * up to 16 MiB. At least 256 KiB. Default 1 MiB.
   */
  messageCreditBytes?: number;
  /**
   * Protocol v2: the longest deadline that a call of the peer gets here, and the deadline of a call that has
   * none. 0: the peer decides. Default 0. Requests without a head have no deadline.
   */
  maxDeadlineMs?: number;
  /**
   * The most handlers that have returned a promise and still run, per connection. Further messages and requests wait, and
   * the peer gets no more credit; with protocol v1 reading pauses. Default 1,024.
   */
  maxConcurrentHandlers?: number;
  /**
   * From the open socket to the complete handshake, `authorize` included. On a server it is also the time
   * that a socket has to send its first message. 0: no limit. Default 10,000: a thousand clients that come at
   * once need seconds on a busy machine.
   */
  handshakeTimeoutMs?: number;
  /** Closes a connection on which nothing arrives for this time. Default 0 (off). */
  readTimeoutMs?: number;
  /**
   * Closes a connection whose peer takes no bytes for this time while some wait. 0: never. Default 60,000.
   */
  writeTimeoutMs?: number;
  /**
   * A request without an answer rejects after this time, and so does a `send` without credit. Each call can
   * set its own. 0: never. Default 30,000.
   */
  requestTimeoutMs?: number;
  /**
   * Protocol v2: after this time without any byte, the peer is asked for a sign of life. 0: never. Default
   * 15,000.
   */
  heartbeatIntervalMs?: number;
  /**
   * Protocol v2: if the peer gives no sign of life within this time, the connection closes. At least 1.
   * Default 10,000.
   */
  heartbeatTimeoutMs?: number;
  /**
   * How long a `close` of either side lets calls, handlers and writes finish before the connection is cut. 0:
   * cut at once, with the next tick of the timers. Default 5,000.
   */
  drainTimeoutMs?: number;
  /**
   * Protocol v2: rounds every plaintext up to a multiple of this many bytes, which hides part of its length.
   * 0 to 32,768, and at most `maxFrameBytes` − 16, so that one multiple and its tag fit into a frame. Protocol
   * v1 can't pad, and refuses it. Default 0 (off).
   */
  padding?: number;
  /**
   * Protocol v2: messages that leave together share sealed frames of at most this many bytes. Long frames
   * seal several times faster. But a message is delivered only when its whole frame has arrived, so a slow
   * line may need a smaller value. 0: every message has a frame of its own. Default 65,536.
   */
  bundleBytes?: number;
}

export type ResolvedLimits = Readonly<Required<ConnectionLimits>>;

const MEBIBYTE = 1_048_576;

export const defaultLimits: ResolvedLimits = {
  maxFrameBytes: MEBIBYTE,
  highWaterMarkBytes: MEBIBYTE,
  maxPendingBytes: 16 * MEBIBYTE,
  maxInFlightRequests: 1_024,
  maxRequests: 1_024,
  maxStreams: 128,
  messageCreditBytes: MEBIBYTE,
  maxDeadlineMs: 0,
  maxConcurrentHandlers: 1_024,
  handshakeTimeoutMs: 10_000,
  readTimeoutMs: 0,
  writeTimeoutMs: 60_000,
  requestTimeoutMs: 30_000,
  heartbeatIntervalMs: 15_000,
  heartbeatTimeoutMs: 10_000,
  drainTimeoutMs: 5_000,
  padding: 0,
  bundleBytes: 65_536,
};

/** The longest time that `setTimeout` of every runtime takes. */
export const MAX_MS = 0x7fffffff;
/** The smallest and largest accepted value of each limit. */
const ranges: Record<keyof ConnectionLimits, readonly [min: number, max: number]> = {
  maxFrameBytes: [64, 0x40000000],
  highWaterMarkBytes: [1, 0x7fffffff],
  maxPendingBytes: [1, Number.MAX_SAFE_INTEGER],
  maxInFlightRequests: [1, 1_048_576],
  maxRequests: [128, 1_048_576],
  maxStreams: [128, 1_048_576],
  messageCreditBytes: [262_144, 0x7fffffff],
  maxDeadlineMs: [0, MAX_MS],
  maxConcurrentHandlers: [1, 1_048_576],
  handshakeTimeoutMs: [0, MAX_MS],
  readTimeoutMs: [0, MAX_MS],
  writeTimeoutMs: [0, MAX_MS],
  requestTimeoutMs: [0, MAX_MS],
  heartbeatIntervalMs: [0, MAX_MS],
  heartbeatTimeoutMs: [1, MAX_MS],
  drainTimeoutMs: [0, MAX_MS],
  padding: [0, 32_768],
  bundleBytes: [0, 65_536],
};

/**
 * Checks an integer option.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function integerOption(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidArgument(name, `an integer from ${min} to ${max}`);
  }
  return value;
}

/**
 * Checks that `options` is an object that holds nothing but known names, so that a misspelt limit is an error
 * and not a default.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function checkOptionNames(options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object");
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(name, known);
}

function unknownOption(name: string, known: readonly string[]): SealwireError {
  const [meant] = [0, 1, 2].flatMap((mistakes) =>
    known.filter(
      (option) => option.length >= 3 * mistakes && isLike(name.toLowerCase(), option.toLowerCase(), mistakes),
    ),
  );
  const hint = meant === undefined ? `the options are ${known.join(", ")}` : `${meant} was probably meant`;
  return new SealwireError("ERR_INVALID_ARGUMENT", `option ${JSON.stringify(name)} is unknown: ${hint}`);
}

/** Whether so many letters to insert, remove or replace make one of the other; they are few, because each triples the work. */
function isLike(a: string, b: string, mistakes: number): boolean {
  const [restA, restB] = [a.slice(1), b.slice(1)];
  if (a !== "" && a[0] === b[0]) return isLike(restA, restB, mistakes);
  if (mistakes === 0) return a + b === "";
  const left = mistakes - 1;
  return isLike(restA, restB, left) || isLike(restA, b, left) || isLike(a, restB, left);
}

/**
 * The options of these names, each read once, also those that the object inherits. The caller may change the object
 * afterwards, or use it again for something else.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming an option that is not known.
 */
export function readOptions<Options extends object>(options: Options, known: readonly string[]): Options {
  checkOptionNames(options, known);
  const given = known.filter((name) => name in options);
  return Object.fromEntries(given.map((name) => [name, options[name as keyof Options]])) as Options;
}

/**
 * Checks an option that must be a function where it is given.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function functionOption<T>(name: string, value: T): T {
  if (value !== undefined && typeof value !== "function") throw invalidArgument(name, "a function");
  return value;
}

export const limitNames = Object.keys(defaultLimits) as (keyof ConnectionLimits)[];

/**
 * Fills in defaults and checks every value.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function resolveLimits(options: ConnectionLimits): ResolvedLimits {
  const limits: Required<ConnectionLimits> = { ...defaultLimits };
  for (const name of limitNames) {
    const value = options[name];
    if (value !== undefined) limits[name] = integerOption(name, value, ...ranges[name]);
  }
  if (options.maxPendingBytes === undefined) {
    limits.maxPendingBytes = Math.max(limits.maxPendingBytes, 4 * limits.maxFrameBytes);
  } else if (limits.maxPendingBytes < limits.maxFrameBytes) {
    throw invalidArgument("maxPendingBytes", `at least maxFrameBytes (${limits.maxFrameBytes})`);
  }
  return limits;
}
