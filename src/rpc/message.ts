// A message or request of the peer, from its arrival to its answer.

import { SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import type { Connection, Message } from "./peer.ts";

/** The connection's side of its messages. */
export interface MessageOwner {
  readonly connection: Connection;
  /** Sends the answer; false when the connection is gone. Throws on a bad body. */
  reply(sequence: number, body: Uint8Array): boolean;
  /** The message is kept, so that a cancel or the end of the connection finds it. */
  hold(message: IncomingMessage): void;
  /** Nothing can reach it any more, or needs to. */
  drop(message: IncomingMessage): void;
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
  /** The owner keeps it; its own note. */
  held = false;
  /** Its handler returned a promise that has not settled. */
  running = false;
  /** Its handler has returned, or its promise has settled. */
  #finished = false;

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

  /** Somebody listens to its signal, or may. */
  get hasSignal(): boolean {
    return this.#abort !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
      else if (!this.#finished || !this.#answered) this.#owner.hold(this);
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
    if (this.held && !this.running) this.#owner.drop(this);
  }

  /** Its handler is done. A request without an answer is kept as long as somebody may listen to its signal. */
  finish(): void {
    this.#finished = true;
    this.running = false;
    if (this.held && (!this.expectsReply || !this.hasSignal)) this.#owner.drop(this);
  }

  /** Nobody waits any more. */
  cancel(reason: SealwireError): void {
    if (this.#cancelled !== undefined) return;
    this.#cancelled = reason;
    if (this.held && !this.running) this.#owner.drop(this);
    this.#abort?.abort(reason);
  }
}
