// A fake socket: bytes that are written to it wait until the test takes them.

import type { Transport } from "../../src/rpc/transport.ts";

export class FakeTransport implements Transport {
  readonly remoteAddress = "";
  /** What the kernel has of each write: copies, since the memory is used again. */
  readonly written: Uint8Array[] = [];
  /** The peer takes nothing: a write stays pending until `taken`. */
  stalled = false;
  #pending = false;
  /** What `unwrittenBytes` says next; and how often it was asked. */
  leftBytes = 0;
  looks = 0;
  destroyed = false;
  paused = true;

  write(bytes: Uint8Array): boolean {
    if (this.#pending) throw new Error("two writes at a time");
    this.written.push(new Uint8Array(bytes));
    this.#pending = this.stalled;
    return !this.stalled;
  }

  /** The kernel has taken the pending write; the test tells the writer. */
  taken(): void {
    this.#pending = false;
  }

  unwrittenBytes(): number {
    this.looks++;
    return this.leftBytes;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {}

  destroy(): void {
    this.destroyed = true;
  }
}
