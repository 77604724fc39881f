// A socket that is none: what is written to it waits until the test takes it.

import type { Transport } from "../../src/rpc/transport.ts";

export class FakeTransport implements Transport {
  readonly remoteAddress = "";
  /** What the kernel has of each write: copies, since the memory is used again. */
  readonly written: Uint8Array[] = [];
  /** The peer takes nothing: every write stays pending. */
  stalled = false;
  /** What `unwrittenBytes` says next; and how often it was asked. */
  leftBytes = 0;
  looks = 0;
  destroyed = false;
  paused = true;

  write(bytes: Uint8Array): boolean {
    this.written.push(new Uint8Array(bytes));
    return !this.stalled;
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
