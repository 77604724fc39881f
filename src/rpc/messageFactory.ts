// Gives each message of the peer its object and the memory of its body.

import { keepBody, wipeBefore } from "../protocol/bodies.ts";
import type { CallParts } from "./callParts.ts";
import { IncomingMessage, type MessageOwner } from "./message.ts";

export class MessageFactory {
  readonly #owner: MessageOwner;
  /** Bodies as views of memory that is used again, instead of memory that the application may keep. */
  readonly #bodyViews: boolean;
  /** With body views: the object of the last one-way message, for the next one. */
  #spare: IncomingMessage | undefined;

  constructor(owner: MessageOwner, bodyViews: boolean) {
    this.#owner = owner;
    this.#bodyViews = bodyViews;
  }

  /** The body is bytes [start, end). `lent`, `more`: see `RecordSink.record`. */
  make(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
    parts?: CallParts,
  ): IncomingMessage {
    if (!lent) wipeBefore(bytes, start);
    if (this.#bodyViews || !lent) return new IncomingMessage(this.#owner, sequence, bytes, start, end, parts);
    const body = keepBody(bytes, start, end, more);
    return new IncomingMessage(this.#owner, sequence, body, 0, body.length, parts);
  }

  /** A one-way message. One with a view as its body ends when its handler returns: the next one is the same object. */
  makeOneWay(bytes: Uint8Array, start: number, end: number, lent: boolean, more: number): IncomingMessage {
    const message = this.#spare;
    if (message === undefined) return this.make(0, bytes, start, end, lent, more);
    this.#spare = undefined;
    message.reuse(bytes, start, end);
    return message;
  }

  /** Its handler has returned: where that had a view, nobody uses what was kept while it waited. */
  hasWaited(message: IncomingMessage): void {
    if (this.#bodyViews) message.wipeBody();
  }

  /** Its handler has returned, and nobody can hold it any more. */
  done(message: IncomingMessage): void {
    if (this.#bodyViews && message.sequence === 0 && message.callParts === undefined) this.#spare = message;
  }
}
