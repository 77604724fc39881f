// Copies of message bodies that are the application's to keep. A body that comes alone gets an ArrayBuffer of its
// own. Short bodies of one read share one, as Node's Buffer pool does, because an ArrayBuffer for each costs several
// times more than the copy; it holds nothing of any other connection, and can't be transferred away from under its
// neighbours where the runtime knows how to forbid that (Node, Deno; in Bun `postMessage` and `structuredClone`, but
// not `ArrayBuffer.prototype.transfer`). Every body begins at a multiple of 8, so that any typed array fits on it.

import { copyOf, viewOf } from "../core/bytes.ts";

/** Bodies up to this size share one allocation per read with their neighbours; longer ones get their own. */
const SHARED_BODY_BYTES = 4_096;
/** One kept small body keeps at most this much alive. */
const SHARED_BYTES = 16_384;
const ALIGNMENT = 8;

type MarkAsUntransferable = (buffer: ArrayBuffer) => void;

function findMark(): MarkAsUntransferable {
  try {
    const found = globalThis.process?.getBuiltinModule?.("node:worker_threads")?.markAsUntransferable;
    if (typeof found === "function") return found as MarkAsUntransferable;
  } catch {
    // A runtime without it shares what it can't protect: documented in docs/API.md.
  }
  return () => {};
}

const markAsUntransferable = findMark();

let shared = new ArrayBuffer(0);
let used = 0;

/** A copy of bytes [start, end), after which `more` bytes of the same read follow. */
export function copyBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  const length = end - start;
  if (length > SHARED_BODY_BYTES) return copyOf(bytes, start, end);
  if (used + length > shared.byteLength) {
    if (more <= 0) return copyOf(bytes, start, end);
    shared = new ArrayBuffer(Math.min(SHARED_BYTES, length + more + ALIGNMENT));
    markAsUntransferable(shared);
    used = 0;
  }
  const body = new Uint8Array(shared, used, length);
  used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  body.set(viewOf(bytes, start, end));
  return body;
}

/** A read was handled: the next one's bodies share nothing with this one's. */
export function endSharing(): void {
  if (shared.byteLength === 0) return;
  shared = new ArrayBuffer(0);
  used = 0;
}
