// The context of a call, as its handler and interceptors see it. No part of it comes from the caller's arguments.

import { encodeKey } from "../protocol/noise/keys.ts";
import type { Connection, Message } from "../rpc/peer.ts";

/** The information that a handler gets about its call. */
export interface CallContext {
  /** The method's name, with dots. */
  readonly method: string;
  /** The peer's static key as `encodeKey` writes it (43 characters); undefined if the handshake proved none. */
  readonly peerKey: string | undefined;
  /** The connection on which the call came; `typed(context.connection)` calls the peer. */
  readonly connection: Connection;
  /**
   * Aborts when no caller waits any more: the caller aborted or left the last stream of the answer, its deadline has
   * passed, or the connection is gone. Pass it on to the work that the handler starts.
   */
  readonly signal: AbortSignal;
  /** Milliseconds that the caller still waits; undefined if the caller gave no time limit. Never below 0. */
  readonly remainingMs: number | undefined;
  /** The caller's W3C `traceparent`. */
  readonly traceParent: string | undefined;
  /** True for a one-way call, which has no answer. */
  readonly isOneWay: boolean;
  /** Interceptors store values here for each other and for the handler. Made at first use, without a prototype. */
  readonly state: Record<PropertyKey, unknown>;
}

/** Text forms of the keys of peers, which do not change. */
const peerKeys = new WeakMap<Connection, string>();

function peerKeyOf(connection: Connection): string | undefined {
  let text = peerKeys.get(connection);
  if (text !== undefined) return text;
  const key = connection.remoteStaticKey;
  if (key === undefined) return undefined;
  text = encodeKey(key);
  peerKeys.set(connection, text);
  return text;
}

export class ServedCall implements CallContext {
  readonly method: string;
  readonly isOneWay: boolean;
  readonly #message: Message;
  #abort: AbortController | undefined = undefined;
  #state: Record<PropertyKey, unknown> | undefined = undefined;
  #over: { readonly reason: unknown } | undefined = undefined;

  constructor(method: string, message: Message) {
    this.method = method;
    this.isOneWay = !message.expectsReply;
    this.#message = message;
  }

  get connection(): Connection {
    return this.#message.connection;
  }

  get peerKey(): string | undefined {
    return peerKeyOf(this.#message.connection);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      const { signal } = this.#message;
      const pass = (): void => abort.abort(signal.reason);
      if (this.#over !== undefined) abort.abort(this.#over.reason);
      else if (signal.aborted) pass();
      else signal.addEventListener("abort", pass);
    }
    return this.#abort.signal;
  }

  get remainingMs(): number | undefined {
    return this.#message.remainingMs;
  }

  get traceParent(): string | undefined {
    return this.#message.head.traceParent;
  }

  get state(): Record<PropertyKey, unknown> {
    this.#state ??= Object.create(null) as Record<PropertyKey, unknown>;
    return this.#state;
  }

  /** No caller takes the rest of the call's results. */
  abandon(reason: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = { reason };
    this.#abort?.abort(reason);
  }
}
