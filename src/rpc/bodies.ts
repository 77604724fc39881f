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

/** Up to this size words are copied one by one: the view that `set` needs of its source costs more than they do. */
const WORDS_COPY_BYTES = 128;

const NOTHING = new Uint8Array(0);
const NO_WORDS = new DataView(NOTHING.buffer);

let shared = NOTHING.buffer;
let sharedWords: DataView = NO_WORDS;
let used = 0;
/** Of what was copied from last: the bodies of a bundle follow each other. */
let source: Uint8Array = NOTHING;
let sourceWords: DataView = NO_WORDS;

/** A copy of bytes [start, end), after which `more` bytes of the same read follow. */
export function copyBody(bytes: Uint8Array, start: number, end: number, more: number): Uint8Array {
  const length = end - start;
  if (length > SHARED_BODY_BYTES) return copyOf(bytes, start, end);
  if (used + length > shared.byteLength) {
    if (more <= 0) return copyOf(bytes, start, end);
    shared = new ArrayBuffer(Math.min(SHARED_BYTES, length + more + ALIGNMENT));
    sharedWords = new DataView(shared);
    markAsUntransferable(shared);
    used = 0;
  }
  const body = new Uint8Array(shared, used, length);
  if (length > WORDS_COPY_BYTES) body.set(viewOf(bytes, start, end));
  else copyWords(bytes, start, body, used);
  used = (used + length + ALIGNMENT - 1) & -ALIGNMENT;
  return body;
}

/** Fills a body that begins at `at` of the shared memory. */
function copyWords(bytes: Uint8Array, start: number, body: Uint8Array, at: number): void {
  if (bytes !== source) {
    source = bytes;
    sourceWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  const { length } = body;
  const words = length & -4;
  for (let i = 0; i < words; i += 4) sharedWords.setInt32(at + i, sourceWords.getInt32(start + i));
  for (let i = words; i < length; i++) body[i] = bytes[start + i]!;
}

/** A read was handled: the next one's bodies share nothing with this one's. */
export function endSharing(): void {
  if (shared.byteLength === 0) return;
  shared = NOTHING.buffer;
  sharedWords = NO_WORDS;
  used = 0;
  source = NOTHING;
  sourceWords = NO_WORDS;
}
