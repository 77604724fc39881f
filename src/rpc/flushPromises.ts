// Promises of `send`: each resolves when everything that was appended before it has gone to the kernel. All calls of
// one turn share one.

import type { SealwireError } from "../base/errors.ts";

class FlushPromise {
  readonly promise: Promise<void>;
  resolve!: () => void;
  reject!: (error: SealwireError) => void;
  /** Resolved when this many bytes in all have gone to the kernel. */
  target = 0;

  constructor() {
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

export class FlushPromises {
  /** The promise that all calls of this turn share. */
  #current: FlushPromise | undefined;
  /** In the order of their targets; the promises before #head are settled. */
  #waiting: (FlushPromise | undefined)[] = [];
  #head = 0;

  /** A promise for the first `target` bytes. */
  add(target: number): Promise<void> {
    if (this.#current === undefined) {
      this.#current = new FlushPromise();
      this.#waiting.push(this.#current);
    }
    this.#current.target = target;
    return this.#current.promise;
  }

  /** Later calls belong to another turn. */
  endTurn(): void {
    this.#current = undefined;
  }

  /** `writtenBytes` bytes in all have gone to the kernel. */
  settle(writtenBytes: number): void {
    if (this.#waiting.length === 0) return;
    while (this.#head < this.#waiting.length && this.#waiting[this.#head]!.target <= writtenBytes) {
      const next = this.#waiting[this.#head]!;
      this.#waiting[this.#head++] = undefined;
      if (next === this.#current) this.#current = undefined;
      next.resolve();
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#head = 0;
    }
  }

  rejectAll(error: SealwireError): void {
    const waiting = this.#waiting;
    const head = this.#head;
    this.#waiting = [];
    this.#head = 0;
    this.#current = undefined;
    for (let i = head; i < waiting.length; i++) waiting[i]!.reject(error);
  }
}
