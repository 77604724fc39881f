// A call that waits for a server. Its caller's operations are stored meanwhile, and carried out in order once the call
// is made.

import { SealwireError } from "../base/errors.ts";
import { copyOf, requireBytes } from "../core/bytes.ts";
import { wipe } from "../core/wipe.ts";
import type { CallHead } from "../protocol/head.ts";
import { memoryBudget, WAITING_OBJECT_BYTES } from "./memoryBudget.ts";
import { refusedWrite } from "./outgoingStream.ts";
import type { Call, Connection } from "./peer.ts";

export class LaterCall implements Call {
  readonly #made: Promise<Call>;
  readonly #items: LaterItems;
  #call: Call | undefined;

  /** `maxPendingBytes`: of items that wait until it is made. */
  constructor(made: Promise<Call>, maxPendingBytes: number) {
    this.#made = made;
    this.#items = new LaterItems(maxPendingBytes);
    made.then(
      (call) => {
        this.#call = call;
      },
      (_error: SealwireError) => {}, // the caller gets the error from the call itself
    );
  }

  get answer(): Promise<Uint8Array> {
    const answer = this.#made.then((call) => call.answer);
    answer.catch(() => {});
    return answer;
  }

  get answerHead(): CallHead | undefined {
    return this.#call?.answerHead;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    // At once, as with every call: from now on its items are wanted.
    const made = this.#made.then((call) => call[Symbol.asyncIterator]());
    made.catch(() => {});
    return {
      next: async () => (await made).next(),
      return: async () => (await (await made).return?.()) ?? { done: true, value: undefined },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  get connection(): Connection | undefined {
    return this.#call?.connection;
  }

  write(item: Uint8Array): Promise<void> {
    return this.#items.write(this.#made, item);
  }

  end(): void {
    this.#made.then(
      (call) => call.end(),
      () => {},
    );
  }
}

/** An item that waits for its call has one more function than one that waits for credit, and two that its promise calls. */
const LATER_ITEM_BYTES = 2 * WAITING_OBJECT_BYTES;

/** Items that are written before their call is made. */
export class LaterItems {
  readonly #maxPendingBytes: number;
  #pendingBytes = 0;

  constructor(maxPendingBytes: number) {
    this.#maxPendingBytes = maxPendingBytes;
  }

  /**
   * Writes an item once the call is made. A copy of it waits meanwhile, and is wiped afterwards. Rejects with
   * ERR_BACKPRESSURE if too many bytes wait, as `write` of the call does.
   */
  write(made: Promise<Call>, item: Uint8Array): Promise<void> {
    requireBytes("item", item);
    const bytes = item.length + LATER_ITEM_BYTES;
    const pending = this.#pendingBytes;
    if (pending > 0 && (pending + bytes > this.#maxPendingBytes || memoryBudget.isExceededBy(pending))) {
      const text = `${pending} bytes of this stream wait for a server`;
      return refusedWrite(new SealwireError("ERR_BACKPRESSURE", text));
    }
    this.#hold(bytes);
    const copy = copyOf(item);
    const done = (): void => {
      this.#hold(-bytes);
      wipe(copy);
    };
    const written = made.then(
      (call) => {
        try {
          return call.write(copy);
        } finally {
          // The call has a copy of its own by now.
          done();
        }
      },
      (error) => {
        done();
        throw error;
      },
    );
    written.catch(() => {});
    return written;
  }

  #hold(bytes: number): void {
    this.#pendingBytes += bytes;
    memoryBudget.used += bytes;
  }
}
