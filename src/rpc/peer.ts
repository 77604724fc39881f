// The public types of a connection and of the messages that arrive on it.

import type { SealwireError } from "../base/errors.ts";
import type { PeerIdentity } from "../base/options.ts";
import type { CallHead } from "../protocol/head.ts";

/** The states of a connection, in order. A draining connection takes no new calls. */
export type ConnectionState = "dialing" | "handshaking" | "open" | "draining" | "closed";

/** Options of one request. */
export interface RequestOptions {
  /** Aborts the request: it rejects with ERR_ABORTED, and the far handler's `signal` aborts (protocol v2). */
  signal?: AbortSignal;
  /** Milliseconds to wait for the answer; 0: no limit. Default: the `requestTimeoutMs` of the connection. */
  timeoutMs?: number;
  /**
   * The answer is written to this buffer, and the promise resolves with the written part. An answer that does not fit
   * rejects with ERR_MESSAGE_TOO_LARGE.
   */
  into?: Uint8Array;
}

/** Options of one call. */
export interface CallOptions {
  /** Aborts the call: it rejects with ERR_ABORTED, and the far handler's `signal` aborts. */
  signal?: AbortSignal;
  /**
   * Milliseconds to wait for the answer; 0: no limit. Default: the `requestTimeoutMs` of the connection. The far
   * handler learns the time that is left.
   */
  timeoutMs?: number;
  /** Method, trace context and fields beside the body. */
  head?: CallHead;
  /**
   * Whether either side may stream items. A call without streams costs little more than a request and does not count
   * towards the peer's `maxStreams`. Default true.
   */
  streams?: boolean;
}

/** Options of one one-way message. */
export interface SendOptions {
  /** Method, trace context and fields beside the body (protocol v2). */
  head?: CallHead;
  /**
   * Milliseconds that the message may wait for the peer's credit (protocol v2). Then it rejects with
   * ERR_REQUEST_TIMEOUT, and nothing of it was or will be sent (`notBegun`). Once it has credit, `writeTimeoutMs`
   * counts. 0: no limit. Default: the `requestTimeoutMs` of the connection.
   */
  timeoutMs?: number;
}

/** A call: the items that its handler streams, a stream to the handler, and the answer. */
export interface Call extends AsyncIterable<Uint8Array> {
  /**
   * The answer, which the caller may keep. Rejects as `request` does. The items of the stream come before it. If the
   * caller awaits the answer without having begun to iterate, the items are discarded.
   */
  readonly answer: Promise<Uint8Array>;
  /** The head of the answer; undefined until the answer is there. */
  readonly answerHead: CallHead | undefined;
  /** The connection that the call went to; undefined while a client waits for one. */
  readonly connection: Connection | undefined;
  /**
   * The items that the handler streams, in order. Leaving the loop tells the handler to stop. If the call fails, the
   * loop throws the error after the last item. Only one loop.
   */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
  /**
   * Streams an item to the handler; the bytes are copied before this returns. Resolves when the handler's side has room
   * for it, and at most 128 KiB wait before it. Await it before the next item; otherwise up to `maxPendingBytes` wait.
   *
   * @throws SealwireError as rejections: ERR_STREAM_STOPPED (the handler takes no more, or has answered), ERR_CLOSED
   *   (after `end`), ERR_BACKPRESSURE, and the error that ended the call; at once: ERR_INVALID_ARGUMENT
   */
  write(item: Uint8Array): Promise<void>;
  /** Ends the stream: the handler's loop ends after the last item. Idempotent. */
  end(): void;
}

/** Counters never go down. Gauges are current values. */
export interface ConnectionStats {
  /** Counter: bytes that arrived on the socket, handshake and encryption included. */
  readonly receivedBytes: number;
  /** Counter: bytes passed to the socket, handshake and encryption included. */
  readonly sentBytes: number;
  /** Counter: requests of this side. */
  readonly requests: number;
  /** Counter: dropped answers, which came too late or belong to no request of this side. */
  readonly droppedReplies: number;
  /** Gauge: requests of this side that wait for answers. */
  readonly inFlightRequests: number;
  /** Gauge: bytes that wait for the kernel to take them. */
  readonly pendingBytes: number;
}

/** One connection, as handlers and callbacks see it. */
export interface Connection {
  /** The state of the connection. */
  readonly state: ConnectionState;
  /** The peer's address in text form; empty for Unix sockets. */
  readonly remoteAddress: string;
  /**
   * The identity of the peer, as far as the handshake proved it. Undefined before the handshake is done. Each reading gives
   * a copy, also of the properties below.
   */
  readonly identity: PeerIdentity | undefined;
  /**
   * `identity.authenticated`: the peer proved that it has the psk, or the private key of `remoteStaticKey`. Whose key that
   * is, only `remoteStatic`, `authorize` or the application can tell. False before the handshake is done.
   */
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
   * Dropped answers, which came too late (after a time-out or abort) or belong to no request of this side. The end
   * without an answer that protocol v2 sends for an aborted request does not count.
   */
  readonly droppedReplies: number;
  /**
   * Sends a one-way message. Resolves when the kernel has it, which does not mean that the peer has handled it. The
   * body is copied before this returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (a head with protocol
   * v1).
   *   Rejects: ERR_CLOSED, ERR_BACKPRESSURE, ERR_REQUEST_TIMEOUT (no credit in time), ERR_MESSAGE_TOO_LARGE (above the
   *   peer's limit alone), ERR_CONNECTION_LOST and the error that ended the connection.
   */
  send(body: Uint8Array, options?: SendOptions): Promise<void>;
  /**
   * Sends a one-way message without waiting. Returns false and sends nothing above the high-water mark of either
   * side (`highWaterMarkBytes`), or if the connection takes no messages any more, or the peer none of that length.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE.
   */
  sendNoWait(body: Uint8Array): boolean;
  /**
   * Sends a request and resolves with the answer, which the caller may keep. The body is copied before this returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE. Rejects: ERR_REMOTE,
   *   ERR_REQUEST_TIMEOUT, ERR_ABORTED, ERR_TOO_MANY_REQUESTS, ERR_BACKPRESSURE, ERR_CLOSED,
   *   ERR_CONNECTION_LOST and the error that ended the connection.
   */
  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array>;
  /**
   * Makes a request with a head and with streams in both directions (protocol v2). The body is copied before this
   * returns.
   *
   * @throws SealwireError at once: ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1). The
   *   call's answer rejects with the errors of `request`.
   */
  call(body: Uint8Array, options?: CallOptions): Call;
  /**
   * Closes the connection in good order: calls in flight finish within `drainTimeoutMs`, then the socket closes.
   * Resolves when the socket is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** One message, request or call from the peer. */
export interface Message extends AsyncIterable<Uint8Array> {
  /** The head of a call; empty for messages and requests. */
  readonly head: CallHead;
  /**
   * Milliseconds that the caller still waits; undefined if the caller gave no time limit (only calls do). Never below
   * 0.
   */
  readonly remainingMs: number | undefined;
  /** The items that the caller of a call streams, in order; none for messages and requests. Only one loop. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
  /**
   * Streams an item to the caller of a call, before the answer. Resolves when the caller's side has room for it, and at
   * most 128 KiB wait before it.
   *
   * @throws SealwireError as rejections: ERR_UNSUPPORTED (not a call), ERR_STREAM_STOPPED (the caller takes no more),
   *   ERR_ALREADY_ANSWERED, ERR_BACKPRESSURE, and the error that ended the call; at once: ERR_INVALID_ARGUMENT
   */
  write(item: Uint8Array): Promise<void>;
  /**
   * The bytes that the peer sent. By default the handler may keep them. With `messageBodies: "view"` this is a view of
   * a shared buffer, valid only until the handler returns (for an async handler: until its first `await`). Then the
   * object of a one-way message ends, too: the next message may reuse it.
   */
  readonly body: Uint8Array;
  /**
   * The same body without an object for it: the bytes [start, end) of `bytes`, valid as long as `body`. For handlers
   * that take many short messages with `messageBodies: "view"`.
   */
  readonly bytes: Uint8Array;
  /** The index of the body's first byte in `bytes`. */
  readonly start: number;
  /** The index behind the body's last byte in `bytes`. */
  readonly end: number;
  /** The connection on which the message arrived. A handler uses it to call the peer back. */
  readonly connection: Connection;
  /** True for a request whose caller still waits: it is not answered, not cancelled, and its connection is open. */
  readonly expectsReply: boolean;
  /**
   * Aborts when no caller waits for the answer any more: the caller aborted or timed out (protocol v2), or the
   * connection is gone. Pass it on to the work that the handler starts.
   */
  readonly signal: AbortSignal;
  /**
   * Answers a request. The body is copied before this returns. Returns false and sends nothing for a one-way message,
   * or if no caller waits any more (the caller cancelled, or the connection is gone). Items that were written before
   * leave before the answer. `head`: for calls only.
   *
   * @throws SealwireError ERR_ALREADY_ANSWERED, ERR_INVALID_ARGUMENT; and, while the handler runs, ERR_MESSAGE_TOO_LARGE
   *   (a peer may take as little as 65,536 bytes), ERR_UNSUPPORTED (a head for a request). When the handler has returned,
   *   these two end the request, go to `onHandlerError`, and false is returned.
   */
  reply(body: Uint8Array, head?: CallHead): boolean;
}

/**
 * Handles a message, request or call. Its result is ignored; a handler that continues after its return returns a
 * promise.
 */
export type MessageHandler = (message: Message) => unknown;

/**
 * Called when a connection opens, drains (takes no new calls) or closes. `error` is the reason of a close that was not
 * in good order.
 */
export type ConnectionStateListener = (
  connection: Connection,
  state: "open" | "draining" | "closed",
  error: SealwireError | undefined,
) => void;
