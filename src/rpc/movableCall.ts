// A call with streams that moves to another endpoint when the first one did not begin it. It can move as long as
// nothing was streamed: once its caller has written or received an item, it stays where it is.

import type { SealwireError } from "../base/errors.ts";
import { requireBytes } from "../core/bytes.ts";
import type { CallHead } from "../protocol/head.ts";
import type { PendingCall } from "./call.ts";
import { LaterItems } from "./laterCall.ts";
import type { Call, Connection } from "./peer.ts";

/** Returns the call's repetition after this error; undefined if the call ends with it. */
type Again = (error: SealwireError) => Promise<PendingCall> | undefined;

export class MovableCall implements Call {
  readonly #again: Again;
  readonly #settled: Promise<Uint8Array>;
  #resolve!: (body: Uint8Array) => void;
  #reject!: (error: unknown) => void;
  #call: PendingCall;
  /** While the call moves: its repetition. */
  #next: Promise<PendingCall> | undefined;
  /** The items of `#call`, for the loop that reads them. */
  #items: AsyncIterator<Uint8Array, undefined> | undefined;
  /** Items that are written while the call moves. */
  readonly #moving: LaterItems;
  /** Its caller takes no more items, wherever the call goes. */
  #left = false;
  /** An item was streamed, so the call does not move. */
  #stays = false;
  #ended = false;
  #wantsAnswer = false;

  /**
   * @param onEnd called once, when the call has settled
   * @param maxPendingBytes of items that wait while it moves
   */
  constructor(first: PendingCall, again: Again, onEnd: () => void, maxPendingBytes: number) {
    this.#again = again;
    this.#moving = new LaterItems(maxPendingBytes);
    this.#call = first;
    this.#settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#settled.then(onEnd, onEnd); // a loop that iterates gets the error there
    this.#follow(first);
  }

  get answer(): Promise<Uint8Array> {
    this.#wantsAnswer = true;
    // Asks for the answer at once: without a loop the items are discarded.
    this.#call.answer.catch(() => {});
    return this.#settled;
  }

  get answerHead(): CallHead | undefined {
    return this.#call.answerHead;
  }

  get connection(): Connection | undefined {
    return this.#call.connection;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    // At once, as with every call: from now on its items are wanted.
    this.#items = this.#call[Symbol.asyncIterator]();
    return {
      next: () => this.#nextItem(),
      return: () => {
        const items = this.#items;
        this.#items = undefined;
        this.#left = true;
        return items?.return?.() ?? Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async #nextItem(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const call = this.#call;
      if (this.#items === undefined) return { done: true, value: undefined };
      try {
        const result = await this.#items.next();
        if (!result.done) this.#stays = true;
        return result;
      } catch (error) {
        if (this.#stays || !call.settled) throw error;
        // The code that follows the call decides first whether it moves; only then does this see the end.
        await call.settling.catch(() => {});
        if (this.#next === undefined && this.#call === call) throw error;
        await this.#next;
      }
    }
  }

  write(item: Uint8Array): Promise<void> {
    requireBytes("item", item);
    this.#stays = true;
    return this.#next === undefined ? this.#call.write(item) : this.#moving.write(this.#next, item);
  }

  end(): void {
    if (this.#next === undefined) {
      this.#ended = true;
      this.#call.end();
      return;
    }
    // After the items that were written meanwhile.
    const end = (call: PendingCall): void => {
      this.#ended = true;
      call.end();
    };
    this.#next.then(end, () => {});
  }

  #follow(call: PendingCall): void {
    call.settling.then(this.#resolve, (error) => this.#failed(error));
  }

  #failed(error: SealwireError): void {
    const next = this.#stays ? undefined : this.#again(error);
    if (next === undefined) {
      this.#reject(error);
      return;
    }
    this.#next = next;
    next.then((call) => this.#moved(call), this.#reject);
  }

  #moved(call: PendingCall): void {
    this.#next = undefined;
    this.#call = call;
    if (this.#left) {
      this.#items = undefined;
      void call[Symbol.asyncIterator]().return?.();
    } else if (this.#items !== undefined) this.#items = call[Symbol.asyncIterator]();
    if (this.#wantsAnswer) call.answer.catch(() => {});
    if (this.#ended) call.end();
    this.#follow(call);
  }
}
