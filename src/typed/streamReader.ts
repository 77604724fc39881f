// The consuming end of a stream, at either side. It decodes items, and tells the producer when its reader leaves.

import { wipe } from "../core/wipe.ts";
import type { Codec } from "./codec/codec.ts";

/** A stream of the other side. Leaving its loop ends the producer, whose `finally` runs. Only one loop. */
export interface RemoteStream<Item, Result = undefined> extends AsyncIterableIterator<Item> {
  /** The next item, or the producer's return value after the last one. Rejects with the error that ended the stream. */
  next(): Promise<IteratorResult<Item, Result>>;
  /** Leaves the stream. */
  return(): Promise<IteratorResult<Item, Result>>;
  /** This stream. */
  [Symbol.asyncIterator](): RemoteStream<Item, Result>;
  /** Leaves the stream, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The source of a reader's items. */
export interface ItemSource {
  /** The items' bytes. */
  readonly items: AsyncIterator<Uint8Array, unknown>;
  /** The items come from this package's own stream, so no other code has them. */
  readonly isOwn: boolean;
  /** The items are over. Resolves with the producer's return value; rejects with its error. */
  finish(): Promise<unknown>;
  /** The reader has left. */
  leave(): void;
  /** Turns an error of the items into the error that the reader gets. */
  explain(error: unknown): unknown;
}

const LEFT = { done: true, value: undefined } as const;

export class StreamReader implements RemoteStream<unknown, unknown> {
  readonly #source: ItemSource;
  readonly #codec: Codec;
  #over = false;
  /** Why the stream is over; thrown once to a loop that reads on. */
  #failure: { readonly reason: unknown } | undefined = undefined;

  constructor(source: ItemSource, codec: Codec) {
    this.#source = source;
    this.#codec = codec;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, unknown>> {
    if (this.#over) return this.#left();
    try {
      const step = await this.#source.items.next();
      if (!step.done) return { done: false, value: this.#decode(step.value) };
      if (this.#over) return this.#left();
      const value = await this.#source.finish();
      this.#over = true;
      return { done: true, value };
    } catch (error) {
      // The stream ended because this side left meanwhile.
      if (this.#over) return this.#left();
      this.leave();
      throw this.#source.explain(error);
    }
  }

  /** The result of reading a stream that is over. */
  #left(): typeof LEFT {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.reason;
    return LEFT;
  }

  #decode(item: Uint8Array): unknown {
    try {
      return this.#codec.decode(item);
    } finally {
      if (this.#source.isOwn) wipe(item);
    }
  }

  async return(): Promise<IteratorResult<unknown, unknown>> {
    this.leave();
    return LEFT;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
  }

  /** The stream's call is over. A loop that reads on gets the reason. Idempotent. */
  fail(reason: unknown): void {
    if (this.#over) return;
    this.#failure = { reason };
    this.leave();
  }

  /** The reader leaves. Idempotent. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#source.leave();
  }
}
