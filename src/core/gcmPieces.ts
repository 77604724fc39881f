// AES-256-GCM of one message in JavaScript memory, of any size. The module takes it piece by piece through linear
// memory, or the runtime's GCM does all of it. The one-shot API (gcm.ts) uses this, and so do frames that are too long
// for a batch (frameCipher.ts).

import { totalLength, viewOf } from "./bytes.ts";
import type { CachedKey } from "./cachedKey.ts";
import { copyInto } from "./copy.ts";
import { detach, wipeAndDetach } from "./detach.ts";
import type { Engine } from "./engine.ts";
import { TAG_BYTES } from "./frameLayout.ts";
import { nodeCrypto } from "./runtimeAes.ts";
import { runtimeName } from "./runtimeName.ts";
import { engineThresholds } from "./tuning.ts";
import { core, KEYSTREAM, memory, STAGING } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

/** SP 800-38D section 5.2.1.1: at most 2^36 - 32 bytes of text. */
export const MAX_TEXT_BYTES = 2 ** 36 - 32;

const IV = STAGING;
const TAG = STAGING + 16;
const PIECE = STAGING + 1024;
/** Messages are sealed and given out in pieces of at most this size: what is best written at once. */
export const PIECE_BYTES = 65_536;

export const thresholds = engineThresholds[runtimeName];

function engineFor(engine: Engine, bytes: number): Engine {
  if (engine !== "auto") return engine;
  if (nodeCrypto === undefined) return "wasm";
  if (bytes >= thresholds.nativeMessageFromBytes) return "native";
  return bytes >= thresholds.keystreamFromBytes ? "keystream" : "wasm";
}

function begin(entry: number, iv: Uint8Array, aad: Uint8Array): void {
  memory.set(iv, IV);
  core.streamBegin(entry, IV);
  const { length } = aad;
  for (let from = 0; from < length; from += PIECE_BYTES) {
    const bytes = Math.min(PIECE_BYTES, length - from);
    memory.set(bytes === length ? aad : viewOf(aad, from, from + bytes), PIECE);
    core.streamHash(entry, PIECE, bytes);
  }
}

/**
 * Ends a message and wipes what it left: its state, IV, tag and piece (`pieceBytes` of it were used at most).
 * `keystreamBytes` of KEYSTREAM besides, for a message that something broke off: otherwise it wipes its own.
 */
function end(pieceBytes: number, keystreamBytes: number): void {
  core.streamEnd();
  memory.fill(0, STAGING, PIECE + Math.min(pieceBytes, PIECE_BYTES));
  if (keystreamBytes > 0) memory.fill(0, KEYSTREAM, KEYSTREAM + keystreamBytes);
}

/** XORs keystream onto the first `length` bytes of the piece. */
function cryptPiece(key: CachedKey, entry: number, engine: Engine, length: number): void {
  if (engine === "wasm") {
    core.streamCrypt(entry, PIECE, length);
    return;
  }
  core.streamCounters(length);
  key.runtimeAes().encryptBlocks(memory.subarray(KEYSTREAM, KEYSTREAM + ((length + 15) & ~15)));
  core.streamXor(PIECE, length);
}

/** Copies bytes [from, from + length) of the concatenated `parts` to linear memory. */
function gather(parts: readonly Uint8Array[], from: number, length: number, address: number): void {
  let start = 0;
  for (const part of parts) {
    const first = Math.max(from - start, 0);
    const last = Math.min(from + length - start, part.length);
    if (first < last) {
      const whole = first === 0 && last === part.length;
      copyInto(memory, address + start + first - from, whole ? part : viewOf(part, first, last));
    }
    start += part.length;
  }
}

/** Takes ciphertext. `owned`: the memory is the taker's to keep or to detach; otherwise it is valid during the call. */
export type TakeCiphertext = (ciphertext: Uint8Array, owned: boolean) => void;

/**
 * Seals the concatenation of `parts`: gives the ciphertext, as long as the parts together, and then the 16-byte tag to
 * `take`, in pieces of at most PIECE_BYTES. Owned pieces end where a row of whole pieces does that begins `front`
 * bytes before the ciphertext. `iv`: 12 bytes, never used before with this key.
 */
export function sealPieces(
  key: CachedKey,
  engine: Engine,
  iv: Uint8Array,
  aad: Uint8Array,
  parts: readonly Uint8Array[],
  front: number,
  take: TakeCiphertext,
): void {
  const total = totalLength(parts);
  const chosen = engineFor(engine, total);
  if (chosen === "native") {
    sealNatively(key, iv, aad, parts, front, take);
    return;
  }

  const entry = key.expanded();
  let broken = true;
  try {
    begin(entry, iv, aad);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      gather(parts, from, length, PIECE);
      cryptPiece(key, entry, chosen, length);
      core.streamHash(entry, PIECE, length);
      take(memory.subarray(PIECE, PIECE + length), false);
    }
    core.streamTag(entry, aad.length, total, TAG);
    take(memory.subarray(TAG, TAG + TAG_BYTES), false);
    broken = false;
  } finally {
    end(Math.max(total, aad.length), broken ? PIECE_BYTES : 0);
  }
}

function sealNatively(
  key: CachedKey,
  iv: Uint8Array,
  aad: Uint8Array,
  parts: readonly Uint8Array[],
  front: number,
  take: TakeCiphertext,
): void {
  const cipher = nodeCrypto!.createCipheriv("aes-256-gcm", key.bytes, iv, { authTagLength: TAG_BYTES });
  if (aad.length > 0) cipher.setAAD(aad);
  let at = front;
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      const length = Math.min(part.length - from, PIECE_BYTES - (at % PIECE_BYTES));
      take(cipher.update(viewOf(part, from, from + length)), true);
      from += length;
      at += length;
    }
  }
  cipher.final();
  take(cipher.getAuthTag(), true);
}

/** The same, written to `out` at `offset`. */
export function sealMessage(
  key: CachedKey,
  engine: Engine,
  iv: Uint8Array,
  aad: Uint8Array,
  parts: readonly Uint8Array[],
  out: Uint8Array,
  offset: number,
): void {
  let at = offset;
  sealPieces(key, engine, iv, aad, parts, 0, (ciphertext, owned) => {
    copyInto(out, at, ciphertext);
    at += ciphertext.length;
    if (owned) detach(ciphertext);
  });
}

/**
 * Opens the concatenation of `chunks` (ciphertext ‖ tag): returns the plaintext, or null when it is too short or does
 * not authenticate, in which case no plaintext was written anywhere that lives on. The plaintext lies in `into` where
 * that is given (long enough), otherwise in new memory; the chunks are only read.
 */
export function openMessage(
  key: CachedKey,
  engine: Engine,
  iv: Uint8Array,
  aad: Uint8Array,
  chunks: readonly Uint8Array[],
  into?: Uint8Array,
): Uint8Array | null {
  const total = totalLength(chunks) - TAG_BYTES;
  if (total < 0) return null;
  const chosen = engineFor(engine, total);
  if (chosen === "native") return openNatively(key, iv, aad, chunks, total, into);

  const entry = key.expanded();
  let broken = true;
  try {
    begin(entry, iv, aad);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      gather(chunks, from, length, PIECE);
      core.streamHash(entry, PIECE, length);
    }
    gather(chunks, total, TAG_BYTES, TAG);
    if (core.streamVerify(entry, aad.length, total, TAG) === 0) {
      broken = false;
      return null;
    }
    const plaintext = into === undefined ? new Uint8Array(total) : viewOf(into, 0, total);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      // A message of one piece is still there from the hashing.
      if (total > PIECE_BYTES) gather(chunks, from, length, PIECE);
      cryptPiece(key, entry, chosen, length);
      plaintext.set(memory.subarray(PIECE, PIECE + length), from);
    }
    broken = false;
    return plaintext;
  } finally {
    end(Math.max(total, aad.length), broken ? PIECE_BYTES : 0);
  }
}

function openNatively(
  key: CachedKey,
  iv: Uint8Array,
  aad: Uint8Array,
  chunks: readonly Uint8Array[],
  total: number,
  into: Uint8Array | undefined,
): Uint8Array | null {
  const decipher = nodeCrypto!.createDecipheriv("aes-256-gcm", key.bytes, iv, { authTagLength: TAG_BYTES });
  gather(chunks, total, TAG_BYTES, TAG);
  decipher.setAuthTag(memory.slice(TAG, TAG + TAG_BYTES));
  memory.fill(0, TAG, TAG + TAG_BYTES);
  if (aad.length > 0) decipher.setAAD(aad);
  const plaintext = into === undefined ? new Uint8Array(total) : viewOf(into, 0, total);
  let at = 0;
  let authentic = false;
  try {
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length && at < total; from += PIECE_BYTES) {
        const to = Math.min(from + PIECE_BYTES, from + total - at, chunk.length);
        const piece = decipher.update(viewOf(chunk, from, to));
        copyInto(plaintext, at, piece);
        at += piece.length;
        wipeAndDetach(piece);
      }
    }
    authentic = isAuthentic(decipher);
    return authentic ? plaintext : null;
  } finally {
    if (!authentic) wipe(plaintext);
  }
}

function isAuthentic(decipher: { final(): unknown }): boolean {
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}
