// Copies of message bodies, which the application may keep. A body that comes alone gets an ArrayBuffer of its own.
// Short bodies of one read share one, as in Node's Buffer pool, because an ArrayBuffer costs several times more than
// the copy. A shared ArrayBuffer holds bodies of one connection only. It is marked as untransferable, so that no
// handler can take it from its neighbours (Node and Deno respect that everywhere, Bun in `postMessage` and
// `structuredClone`, but not in `ArrayBuffer.prototype.transfer`). Every body begins at a multiple of 8, so any typed
// array can view it.

import { copyOf, viewOf } from "../core/bytes.ts";

/** Bodies up to this size share one allocation per read with their neighbours; longer ones get their own. */
const SHARED_BODY_BYTES = 4_096;
/** A small body that the application keeps holds at most this much alive. */
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
