// Frees memory that the runtime allocated for one result (a cipher's output, a read) at once, instead of at the next
// garbage collection. The next result then uses memory that is mapped and in the cache (docs/PERFORMANCE-LOG.md).

import { runtimeName } from "./runtimeName.ts";
import { wipe } from "./wipe.ts";

/** Frees an ArrayBuffer by detaching it; undefined if only the collector can free it. */
const transferAway: ((buffer: ArrayBuffer) => void) | undefined = findTransfer();

/** Below this length, detaching costs more than it saves. */
const DETACH_FROM_BYTES = "transfer" in ArrayBuffer.prototype ? 4_096 : 16_384;
/** Bun's ciphers allocate up to a block more than they return. */
const SPARE_BYTES = 32;

function findTransfer(): ((buffer: ArrayBuffer) => void) | undefined {
  // ES2024, not in Node 20.
  const { transfer } = ArrayBuffer.prototype as { transfer?: (bytes: number) => ArrayBuffer };
  if (transfer !== undefined) return (buffer) => transfer.call(buffer, 0);
  // Test environments that imitate browsers lack MessageChannel; there the collector frees.
  if (runtimeName !== "node" || typeof MessageChannel !== "function") return undefined;
  // A closed port drops everything that is transferred to it.
  const { port1 } = new MessageChannel();
  port1.close();
  return (buffer) => port1.postMessage(undefined, [buffer]);
}

/** Whether the memory of these bytes contains nothing else. */
function isAlone({ buffer, length }: Uint8Array): boolean {
  return buffer.byteLength - length <= SPARE_BYTES;
}

/** The same for an ArrayBuffer that begins with these bytes. */
export function ownsItsMemory(bytes: Uint8Array): boolean {
  return bytes.byteOffset === 0 && isAlone(bytes) && bytes.buffer instanceof ArrayBuffer;
}

/**
 * Frees the memory of `bytes` if they have an ArrayBuffer to themselves. No code may use them afterwards; their content
 * is not wiped.
 */
export function detach(bytes: Uint8Array): void {
  if (transferAway === undefined || bytes.length < DETACH_FROM_BYTES) return;
  if (isAlone(bytes)) transferAway(bytes.buffer as ArrayBuffer);
}

/** The same for secrets: zeroes them first. A handler may have transferred memory that it was lent, which has length 0. */
export function wipeAndDetach(bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  wipe(bytes);
  detach(bytes);
}
