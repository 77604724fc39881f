// The producing end of a stream: takes items of the application's iterable one by one, as the other side takes them, and
// says that it left when nobody wants more.

import type { Message } from "../rpc/peer.ts";
import { type BodyLender, bodyLenderOf, keepingEncoder } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { isOwnStream } from "./ownCalls.ts";

/** What items are written to. */
type Writable = Pick<Message, "write">;

export class Producer {
  readonly #iterable: AsyncIterable<unknown>;
  readonly #codec: Codec;
  #iterator: AsyncIterator<unknown> | undefined;
  #over = false;

  constructor(iterable: AsyncIterable<unknown>, codec: Codec) {
    this.#iterable = iterable;
    this.#codec = codec;
  }

  /**
   * Writes every item, each when the one before was taken. Resolves with what the iterable returned, undefined where
   * nobody wants it any more, which is also what a write that rejects says. Rejects with what the iterable throws, or
   * the codec for an item; the iterable has been told by then.
   */
  async run(stream: Writable): Promise<unknown> {
    const lender = isOwnStream(stream) ? bodyLenderOf(this.#codec) : keepingEncoder(this.#codec);
    try {
      if (this.#over) return undefined;
      this.#iterator = this.#iterable[Symbol.asyncIterator]();
      for (;;) {
        const step = await this.#iterator.next();
        if (this.#over) return undefined;
        if (step.done) {
          this.#over = true;
          return step.value;
        }
        if (!(await isWritten(writeValue(stream, lender, step.value)))) await this.leave();
        if (this.#over) return undefined;
      }
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  /** Nobody wants more: the iterable's `return` is called, once. Resolves when it is done; what it throws is dropped. */
  async leave(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      // An iterable that was never begun has something to close, too.
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]();
      await this.#iterator.return?.();
    } catch {
      // Nobody is left who could be told.
    }
  }
}

function writeValue(stream: Writable, lender: BodyLender, value: unknown): Promise<void> {
  const item = lender.encode(value);
  try {
    return stream.write(item);
  } finally {
    lender.giveBack(item);
  }
}

function isWritten(written: Promise<void>): Promise<boolean> {
  return written.then(
    () => true,
    () => false,
  );
}
