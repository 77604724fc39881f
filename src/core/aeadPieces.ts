// An AEAD over one message in JavaScript memory, of any size. The module takes it piece by piece through linear memory,
// or the runtime's cipher does all of it. The one-shot API (oneShotAead.ts) uses this, and so do frames that are
// too long for a batch (frameCipher.ts).

import type { AeadKey } from "./aeadKey.ts";
import { isShared, totalLength, viewOf } from "./bytes.ts";
import { copyInto } from "./copy.ts";
import { detach, wipeAndDetach } from "./detach.ts";
import type { Engine } from "./engine.ts";
import { TAG_BYTES } from "./frameLayout.ts";
import { createNativeCipher, createNativeDecipher } from "./nativeFrames.ts";
import { MAX_PIECE_BYTES } from "./pieceMemory.ts";
import { PIECE_BYTES } from "./pieceWriter.ts";
import { KEYSTREAM, memory, STAGING } from "./wasmModule.ts";
import { wipe } from "./wipe.ts";

/** The first 128 bytes of STAGING belong to the keys, for a key and a nonce in transit. */
const TAG = STAGING + 128;
const PIECE = STAGING + 1024;

/**
 * Bytes that are read twice must be the same both times, so memory that another thread may write to is copied first.
 * Otherwise that thread could change a ciphertext between its authentication and its decryption.
 */
export function stableCopy(bytes: Uint8Array): Uint8Array {
  return bytes.length > PIECE_BYTES && isShared(bytes) ? new Uint8Array(bytes) : bytes;
}

function begin(key: AeadKey, iv: Uint8Array, aad: Uint8Array): void {
  key.begin(iv);
  const { length } = aad;
  for (let from = 0; from < length; from += PIECE_BYTES) {
    const bytes = Math.min(PIECE_BYTES, length - from);
    memory.set(bytes === length ? aad : viewOf(aad, from, from + bytes), PIECE);
    key.hash(PIECE, bytes);
  }
}

/**
 * Ends a message and wipes its state, nonce, tag and piece (at most `pieceBytes` of the piece were used). It also wipes
 * `keystreamBytes` of KEYSTREAM, for a message that an error interrupted; a complete one wipes its own.
 */
function end(key: AeadKey, pieceBytes: number, keystreamBytes: number): void {
  key.end();
  memory.fill(0, STAGING, PIECE + Math.min(pieceBytes, PIECE_BYTES));
  if (keystreamBytes > 0) memory.fill(0, KEYSTREAM, KEYSTREAM + keystreamBytes);
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

/** Takes ciphertext. `owned`: the taker may keep the memory or detach it; otherwise it is valid during the call. */
export type TakeCiphertext = (ciphertext: Uint8Array, owned: boolean) => void;

/**
 * Seals the concatenation of `parts`: passes the ciphertext, as long as the parts together, and then the 16-byte tag to
 * `take`, in pieces of at most PIECE_BYTES. Owned pieces end at the borders of whole pieces, counted from `front` bytes
 * before the ciphertext. `iv`: 12 bytes, never used before with this key.
 */
export function sealPieces(
  key: AeadKey,
  engine: Engine,
  iv: Uint8Array,
  aad: Uint8Array,
  parts: readonly Uint8Array[],
  front: number,
  take: TakeCiphertext,
): void {
  const total = totalLength(parts);
  const chosen = key.engineFor(engine, total);
  if (chosen === "native") {
    sealNatively(key, iv, aad, parts, front, take);
    return;
  }

  let broken = true;
  try {
    begin(key, iv, aad);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      gather(parts, from, length, PIECE);
      key.crypt(chosen, PIECE, length);
      key.hash(PIECE, length);
      take(memory.subarray(PIECE, PIECE + length), false);
    }
    key.tag(aad.length, total, TAG);
    take(memory.subarray(TAG, TAG + TAG_BYTES), false);
    broken = false;
  } finally {
    end(key, Math.max(total, aad.length), broken ? PIECE_BYTES : 0);
  }
}

function sealNatively(
  key: AeadKey,
  iv: Uint8Array,
  aad: Uint8Array,
  parts: readonly Uint8Array[],
  front: number,
  take: TakeCiphertext,
): void {
  const cipher = createNativeCipher(key, iv);
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
  key: AeadKey,
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
 * Opens the concatenation of `sealed` (ciphertext ‖ tag). Returns the plaintext, or null if it is too short or does not
 * authenticate; then no plaintext is left in memory. The plaintext is in `into` if that is given (long enough),
 * otherwise in new memory; `sealed` is only read.
 */
export function openMessage(
  key: AeadKey,
  engine: Engine,
  iv: Uint8Array,
  aad: Uint8Array,
  sealed: readonly Uint8Array[],
  into?: Uint8Array,
): Uint8Array | null {
  const total = totalLength(sealed) - TAG_BYTES;
  if (total < 0) return null;
  const chosen = key.engineFor(engine, total);
  if (chosen === "native") return openNatively(key, iv, aad, sealed, total, into);

  let broken = true;
  try {
    begin(key, iv, aad);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      gather(sealed, from, length, PIECE);
      key.hash(PIECE, length);
    }
    gather(sealed, total, TAG_BYTES, TAG);
    if (!key.verify(aad.length, total, TAG)) {
      broken = false;
      return null;
    }
    const plaintext = into === undefined ? new Uint8Array(total) : viewOf(into, 0, total);
    for (let from = 0; from < total; from += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, total - from);
      // A message of one piece is still in place from the hashing.
      if (total > PIECE_BYTES) gather(sealed, from, length, PIECE);
      key.crypt(chosen, PIECE, length);
      plaintext.set(memory.subarray(PIECE, PIECE + length), from);
    }
    broken = false;
    return plaintext;
  } finally {
    end(key, Math.max(total, aad.length), broken ? PIECE_BYTES : 0);
  }
}

function openNatively(
  key: AeadKey,
  iv: Uint8Array,
  aad: Uint8Array,
  sealed: readonly Uint8Array[],
  total: number,
  into: Uint8Array | undefined,
): Uint8Array | null {
  const decipher = createNativeDecipher(key, iv);
  gather(sealed, total, TAG_BYTES, TAG);
  decipher.setAuthTag(memory.slice(TAG, TAG + TAG_BYTES));
  memory.fill(0, TAG, TAG + TAG_BYTES);
  if (aad.length > 0) decipher.setAAD(aad);
  const plaintext = into === undefined ? new Uint8Array(total) : viewOf(into, 0, total);
  let at = 0;
  let authentic = false;
  try {
    for (const part of sealed) {
      for (let from = 0; from < part.length && at < total; from += MAX_PIECE_BYTES) {
        const to = Math.min(from + MAX_PIECE_BYTES, from + total - at, part.length);
        const piece = decipher.update(viewOf(part, from, to));
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
