// Gives each message of the peer its object and the memory of its body.

import { alignOwn, keepBody } from "../protocol/bodies.ts";
import type { CallParts } from "./callParts.ts";
import { IncomingMessage, type MessageOwner } from "./message.ts";

export class MessageFactory {
  readonly #owner: MessageOwner;
  /** Bodies are views of memory that is reused, instead of memory that the application may keep. */
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
    if (!lent || this.#bodyViews) return this.#makeInPlace(sequence, bytes, start, end, lent, parts);
    const body = keepBody(bytes, start, end, more);
    return new IncomingMessage(this.#owner, sequence, body, 0, end - start, parts);
  }

  /** The body stays where it arrived. */
  #makeInPlace(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    parts: CallParts | undefined,
  ): IncomingMessage {
    const at = lent ? start : alignOwn(bytes, start, end);
    return new IncomingMessage(this.#owner, sequence, bytes, at, at + end - start, parts);
  }

  /**
   * A one-way message. If its body is a view, it ends when its handler returns, and the next message reuses the object.
   */
  makeOneWay(bytes: Uint8Array, start: number, end: number, lent: boolean, more: number): IncomingMessage {
    if (!lent || this.#bodyViews) return this.#oneWayInPlace(bytes, start, end, lent);
    return new IncomingMessage(this.#owner, 0, keepBody(bytes, start, end, more), 0, end - start);
  }

  /** The same, where the body stays where it arrived. */
  #oneWayInPlace(bytes: Uint8Array, start: number, end: number, lent: boolean): IncomingMessage {
    const message = this.#spare;
    if (message === undefined) return this.#makeInPlace(0, bytes, start, end, lent, undefined);
    this.#spare = undefined;
    message.reuse(bytes, start, end);
    return message;
  }

  /** The handler has returned. If it had a view, the memory in which the message waited is free. */
  hasWaited(message: IncomingMessage): void {
    if (this.#bodyViews) message.wipeBody();
  }

  /** The handler has returned, and no code can reference the message any more. */
  done(message: IncomingMessage): void {
    if (this.#bodyViews && message.sequence === 0 && message.callParts === undefined) this.#spare = message;
  }
}
