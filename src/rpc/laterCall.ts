// A call that waits for a server. Its caller's operations are stored meanwhile, and carried out in order once the call
// is made.

import type { SealwireError } from "../base/errors.ts";
import { copyOf } from "../core/bytes.ts";
import { wipe } from "../core/wipe.ts";
import type { CallHead } from "../protocol/head.ts";
import type { Call, Connection } from "./peer.ts";

export class LaterCall implements Call {
  readonly #made: Promise<Call>;
  #call: Call | undefined;

  constructor(made: Promise<Call>) {
    this.#made = made;
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
    return writeLater(this.#made, item);
  }

  end(): void {
    this.#made.then(
      (call) => call.end(),
      () => {},
    );
  }
}

/** Writes an item once the call is made. A copy of it waits meanwhile, and is wiped afterwards. */
export function writeLater(made: Promise<Call>, item: Uint8Array): Promise<void> {
  const copy = copyOf(item);
  const written = made.then((call) => call.write(copy)).finally(() => wipe(copy));
  written.catch(() => {});
  return written;
}
