// Reads a descriptor to its end, also a non-blocking one. The parent process may have made it non-blocking (npx does);
// reads then fail with EAGAIN until there is input.

import { Buffer } from "node:buffer";
import { readSync } from "node:fs";

const PAUSE_MS = 5;
const READ_BYTES = 65_536;
const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));

/** Reads to `offset` and on; returns the number of bytes, 0 at the end. Waits until there are some. */
export function readSome(descriptor: number, buffer: Uint8Array, offset = 0): number {
  for (;;) {
    try {
      return readSync(descriptor, buffer, offset, buffer.length - offset, null);
    } catch (error) {
      const { code } = error as { code?: string };
      // Windows reports the end of a pipe in this way.
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(nobodyWakes, 0, 0, PAUSE_MS);
    }
  }
}

/** Everything up to the end. */
export function readToEnd(descriptor: number): Uint8Array {
  const reads: Uint8Array[] = [];
  for (;;) {
    const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
    const length = readSome(descriptor, bytes);
    if (length === 0) return Buffer.concat(reads);
    reads.push(bytes.subarray(0, length));
  }
}
