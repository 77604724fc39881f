// Allocates memory that is written before it is read. `new ArrayBuffer` fills memory with zeros first, which costs more
// than the copy that follows.

import { builtinModule } from "./builtin.ts";

interface BufferModule {
  readonly Buffer: { allocUnsafeSlow(bytes: number): Uint8Array };
}

/** Below this length, memory with zeros is as fast. */
const LEAST_BYTES = 4_096;

const found = builtinModule("node:buffer") as BufferModule | undefined;

/** An ArrayBuffer of this length with arbitrary content: the caller overwrites all of it. */
export function unfilledMemory(bytes: number): ArrayBuffer {
  if (bytes >= LEAST_BYTES && found !== undefined) {
    const { buffer } = found.Buffer.allocUnsafeSlow(bytes);
    if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes) return buffer;
  }
  return new ArrayBuffer(bytes);
}
