// Frees the memory of a read at once, as sealwire does (src/core/detach.ts). The controls shall not pay for memory that
// the collector frees late.
import process from "node:process";

const LEAST_BYTES = 4_096;
const detach = findDetach();

function findDetach() {
  if (ArrayBuffer.prototype.transfer !== undefined) return (buffer) => buffer.transfer(0);
  if (process.versions.node === undefined) return undefined;
  const { port1 } = new MessageChannel();
  port1.close();
  return (buffer) => port1.postMessage(undefined, [buffer]);
}

/** Nobody may use the chunk afterwards. */
export function giveBack(chunk) {
  if (chunk.length >= LEAST_BYTES && chunk.length === chunk.buffer.byteLength) detach?.(chunk.buffer);
}
