// A message or request of the peer, from its arrival to its answer.

import { SealwireError } from "../errors.ts";
import { viewOf } from "./bodies.ts";
import type { Connection, Message } from "./peer.ts";

/** The connection's side of its messages. */
export interface MessageOwner {
  readonly connection: Connection;
  /** Sends the answer; false when the connection is gone. Throws on a bad body. */
  reply(sequence: number, body: Uint8Array): boolean;
  /** Keeps the request until it is answered, so that a cancel finds it. */
  watch(message: IncomingMessage): void;
  /** The request needs no watching any more. */
  unwatch(message: IncomingMessage): void;
}

export class IncomingMessage implements Message {
  readonly #owner: MessageOwner;
  /** The request's number; 0 for a one-way message. */
  readonly sequence: number;
  bytes: Uint8Array;
  start: number;
  end: number;
  #body: Uint8Array | undefined = undefined;
  #answered: boolean;
  #cancelled: SealwireError | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  /** Whether the owner watches it; its own note. */
  watched = false;

  /** The body is bytes [start, end), as a view that is made at first use. */
  constructor(owner: MessageOwner, sequence: number, bytes: Uint8Array, start: number, end: number) {
    this.#owner = owner;
    this.sequence = sequence;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#answered = sequence === 0;
  }

  /**
   * Makes this the next one-way message with a view as its body, instead of a new object. Only for messages
   * that nobody may hold: with `messageBodies: "view"` they end when the handler returns.
   */
  reuse(bytes: Uint8Array, start: number, end: number): void {
    this.#body = undefined;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  get body(): Uint8Array {
    this.#body ??= viewOf(this.bytes, this.start, this.end);
    return this.#body;
  }

  get connection(): Connection {
    return this.#owner.connection;
  }

  get expectsReply(): boolean {
    return !this.#answered && this.#cancelled === undefined;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
      else this.#owner.watch(this);
    }
    return this.#abort.signal;
  }

  reply(body: Uint8Array): boolean {
    if (this.sequence === 0) return false;
    if (this.#answered) throw new SealwireError("ERR_ALREADY_ANSWERED", "the request was already answered");
    if (this.#cancelled !== undefined) return false;
    const sent = this.#owner.reply(this.sequence, body);
    this.markAnswered();
    return sent;
  }

  /** No answer will follow from here on. */
  markAnswered(): void {
    this.#answered = true;
    if (this.watched) this.#owner.unwatch(this);
  }

  /** Nobody waits any more. */
  cancel(reason: SealwireError): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    this.#abort?.abort(reason);
  }
}
