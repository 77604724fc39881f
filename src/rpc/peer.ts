// The public types of a connection and of the messages that arrive on it.

import type { SealwireError } from "../base/errors.ts";
import type { PeerIdentity } from "../base/options.ts";
import type { CallHead } from "../protocol/head.ts";

/** The life of a connection, in this order; a draining one takes no new calls. */
export type ConnectionState = "dialing" | "handshaking" | "open" | "draining" | "closed";

/** Options of one request. */
export interface RequestOptions {
  /** Gives up on the request: it rejects with ERR_ABORTED and the far handler is told (protocol v2). */
  signal?: AbortSignal;
  /** Milliseconds to wait for the answer; 0: no limit. Default: the `requestTimeoutMs` of the connection. */
  timeoutMs?: number;
  /**
   * Write the answer to this buffer instead of a new one; the promise gives the part of it that was written. An
   * answer that does not fit rejects with ERR_MESSAGE_TOO_LARGE.
   */
  into?: Uint8Array;
}

/** Options of one call. */
export interface CallOptions {
  /** Gives up on the call: it rejects with ERR_ABORTED and the far handler is told. */
  signal?: AbortSignal;
  /**
   * Milliseconds to wait for the answer; 0: no limit. Default: the `requestTimeoutMs` of the connection. The far handler
   * learns how much of it is left.
   */
  timeoutMs?: number;
  /** What is said beside the body. */
  head?: CallHead;
  /**
   * Whether items may be streamed, both ways. Without streams a call costs little more than a request, and is none of the
   * peer's `maxStreams`. Default true.
   */
  streams?: boolean;
}

/** Options of one one-way message. */
export interface SendOptions {
  /** What is said beside the body (protocol v2). */
  head?: CallHead;
  /**
   * Milliseconds that it may wait until the peer gives credit for it (protocol v2); then it rejects with
   * ERR_REQUEST_TIMEOUT, and nothing of it was or will be sent (`notBegun`). Behind that, `writeTimeoutMs` counts. 0: no
   * limit. Default: the `requestTimeoutMs` of the connection.
   */
  timeoutMs?: number;
}

/** A call that was made: what its handler streams, what may be streamed to it, and its answer. */
export interface Call extends AsyncIterable<Uint8Array> {
  /**
   * The answer, which is the caller's to keep. Rejects as `request` does. Items of the stream come before it; whoever
   * asks for the answer without having begun to iterate gets none of them.
   */
  readonly answer: Promise<Uint8Array>;
  /** What the answer said beside its body, once it is there. */
  readonly answerHead: CallHead | undefined;
  /** The connection that the call went to; undefined while a client waits for one. */
  readonly connection: Connection | undefined;
  /**
   * Items that the handler streams, in order. To leave the loop tells the handler to stop. Throws, behind the last item,
   * what ended the call badly. Only one loop.
   */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
  /**
   * Streams an item to the handler; the bytes are copied before this returns. Resolves when the handler's side has room
   * for it: await it before the next one, or up to `maxPendingBytes` wait.
   *
   * @throws SealwireError as rejections: ERR_STREAM_STOPPED (the handler takes no more, or has answered), ERR_CLOSED
   *   (after `end`), ERR_BACKPRESSURE, and what ended the call; at once: ERR_INVALID_ARGUMENT
   */
  write(item: Uint8Array): Promise<void>;
  /** No more items. The handler's loop ends behind the last one. Idempotent. */
  end(): void;
}

/** Counters never go down. Gauges say how things are now. */
export interface ConnectionStats {
  /** Counter: bytes that arrived on the socket, handshake and encryption included. */
  readonly receivedBytes: number;
  /** Counter: bytes given to the socket, handshake and encryption included. */
  readonly sentBytes: number;
  /** Counter: requests of this side. */
  readonly requests: number;
  /** Counter: answers that came too late, or to no request of ours, and were dropped. */
  readonly droppedReplies: number;
  /** Gauge: requests of this side that wait for answers. */
  readonly inFlightRequests: number;
  /** Gauge: bytes that wait for the kernel to take them. */
  readonly pendingBytes: number;
}

/** One connection as handlers and callbacks see it. */
export interface Connection {
  /** Where in its life the connection is. */
  readonly state: ConnectionState;
  /** The peer's address in text form; empty for Unix sockets. */
  readonly remoteAddress: string;
  /** Who the peer is, as far as the handshake proved it. Undefined before the handshake is done. */
  readonly identity: PeerIdentity | undefined;
  /** `identity.authenticated`; false before the handshake is done. */
  readonly authenticated: boolean;
  /** `identity.remoteStaticKey` */
  readonly remoteStaticKey: Uint8Array | undefined;
  /** `identity.handshakeHash` */
  readonly handshakeHash: Uint8Array | undefined;
  /** Bytes that wait for the kernel to take them. */
  readonly pendingBytes: number;
  /** Requests of this side that wait for answers. */
  readonly inFlightRequests: number;
  /** Counters of this connection since it began, and gauges. A snapshot. */
  readonly stats: ConnectionStats;
  /**
   * Answers that came too late (after a time-out or abort) or to no request of ours, and were dropped. The end without
   * an answer that protocol v2 gives a request whose caller gave up is none of them.
   */
  readonly droppedReplies: number;
  /**
   * Sends a one-way message. Resolves when the kernel has it, which says nothing about the peer having handled it.
   * The body is copied before this returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (a head with protocol v1).
   *   Rejects: ERR_CLOSED, ERR_BACKPRESSURE, ERR_REQUEST_TIMEOUT (no credit in time), ERR_CONNECTION_LOST and what ended
   *   the connection.
   */
  send(body: Uint8Array, options?: SendOptions): Promise<void>;
  /**
   * Sends a one-way message without waiting. False, and nothing is sent, above the high-water mark or when the
   * connection does not take messages any more.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE.
   */
  sendNoWait(body: Uint8Array): boolean;
  /**
   * Sends a request; resolves with the answer, which is the caller's to keep. The body is copied before this returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_REMOTE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE, ERR_CLOSED,
   *   ERR_CONNECTION_LOST and what ended the connection.
   */
  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /**
   * A request with a head and with streams both ways (protocol v2). The body is copied before this returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1). What
   *   `request` rejects with, the call's answer does.
   */
  call(body: Uint8Array, options?: CallOptions): Call;
  /**
   * Ends the connection in good order: what is in flight finishes within `drainTimeoutMs`, then the socket closes.
   * Resolves when it is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** One message, request or call from the peer. */
export interface Message extends AsyncIterable<Uint8Array> {
  /** What a call says beside its body; empty for messages and requests. */
  readonly head: CallHead;
  /** Milliseconds that the caller still waits; undefined where it did not say (only calls do). Never below 0. */
  readonly remainingMs: number | undefined;
  /** Items that the caller of a call streams, in order; none for messages and requests. Only one loop. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
  /**
   * Streams an item to the caller of a call, before the answer. Resolves when the caller's side has room for it.
   *
   * @throws SealwireError as rejections: ERR_UNSUPPORTED (not a call), ERR_STREAM_STOPPED (the caller takes no more),
   *   ERR_ALREADY_ANSWERED, ERR_BACKPRESSURE, and what ended the call; at once: ERR_INVALID_ARGUMENT
   */
  write(item: Uint8Array): Promise<void>;
  /**
   * The bytes that the peer sent. By default yours to keep. With `messageBodies: "view"` a view of a shared
   * buffer that is valid only until the handler returns (for an async handler: until its first `await`); one-way
   * messages themselves end then, too: the next one may be the same object.
   */
  readonly body: Uint8Array;
  /**
   * The same without an object for it: the body lies at bytes[start, end), and is valid as long as `body` is. For
   * handlers that take many short messages with `messageBodies: "view"`.
   */
  readonly bytes: Uint8Array;
  /** Where the body begins in `bytes`. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** The connection it came on; use it to call the peer back. */
  readonly connection: Connection;
  /** True for a request that still waits: not answered, not cancelled, its connection open. */
  readonly expectsReply: boolean;
  /**
   * Aborts when nobody waits for the answer any more: the caller aborted or timed out (protocol v2), or the
   * connection is gone. Pass it on to what the handler does.
   */
  readonly signal: AbortSignal;
  /**
   * Answers a request. The body is copied before this returns. Returns false when nobody waits any more (the
   * caller cancelled, or the connection is gone) and for a one-way message; then nothing is sent. Items that were
   * written before leave before it. `head`: for calls only.
   *
   * @throws SealwireError ERR_ALREADY_ANSWERED, ERR_MESSAGE_TOO_LARGE, ERR_INVALID_ARGUMENT.
   */
  reply(body: Uint8Array, head?: CallHead): boolean;
}

/** Takes a message or request. What it returns is ignored; return a promise if the work goes on. */
export type MessageHandler = (message: Message) => unknown;

/** Called when a connection opens, drains (takes no new calls) or closes. `error`: why, unless in good order. */
export type ConnectionStateListener = (
  connection: Connection,
  state: "open" | "draining" | "closed",
  error: SealwireError | undefined,
) => void;
