// The producing end of a stream. It takes items of the application's iterable one by one, as the other side takes them,
// and tells the iterable when the other side leaves.

import type { Message } from "../rpc/peer.ts";
import { type BodyLender, bodyLenderOf, keepingEncoder } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { isOwnStream } from "./ownCalls.ts";
import type { FoundStream } from "./valueStreams.ts";

/** The object that items are written to. */
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
   * Writes each item when the other side has taken the one before. Resolves with the iterable's return value, or with
   * undefined if the other side has left, which a rejecting write shows. Rejects with the error of the iterable, or of
   * the codec for an item; then the iterable has been closed.
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

  /**
   * The other side has left: calls the iterable's `return` once. Resolves when it is done; an error of it is dropped.
   */
  async leave(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      // An iterable that never began may have something to close, too.
      this.#iterator ??= this.#iterable[Symbol.asyncIterator]();
      await this.#iterator.return?.();
    } catch {
      // The error can't be reported to anybody.
    }
  }
}

/** Leaves the streams in a value that no side gets. */
export function leaveStreams(found: readonly FoundStream[], codec: Codec): void {
  for (const { stream } of found) void new Producer(stream, codec).leave();
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
