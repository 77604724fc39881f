// BLAKE2b (RFC 7693) on byte arrays, HMAC (RFC 2104) and Noise's HKDF over it.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";
import { type OwnBytes, requireBytes, requireBytesOf, requireBytesUpTo, viewOf } from "./bytes.ts";
import { BLAKE2B_STATE_BYTES, core, memory, STAGING, STAGING_BYTES } from "./wasmModule.ts";
import { secretCopy } from "./wipe.ts";

/** The longest digest, Noise's HASHLEN. */
export const BLAKE2B_BYTES = 64;
/** The longest key. */
export const BLAKE2B_KEY_BYTES = 64;
/** HMAC's block length B, Noise's BLOCKLEN. */
const BLOCK_BYTES = 128;

/** Options of `blake2b` and `Blake2b`. */
export interface Blake2bOptions {
  /** Secret key of 0 to 64 bytes (RFC 7693 section 2.5); none by default. */
  key?: Uint8Array;
  /** Digest length in bytes, 1 to 64; 64 by default. */
  length?: number;
}

// STAGING holds a state, a key, the output (up to three times 64 bytes) and a piece of the input.
const STATE = STAGING;
const KEY = STAGING + 256;
const OUT = STAGING + 512;
const INPUT = STAGING + 1024;
const INPUT_BYTES = STAGING_BYTES - 1024;

// Views of exactly these lengths. If another thread makes an argument longer meanwhile, it does not fit, and no other
// memory is overwritten.
const keyArgument = memory.subarray(KEY, OUT);
const inputArgument = memory.subarray(INPUT, INPUT + INPUT_BYTES);

const NO_KEY = new Uint8Array(0);
/** Longest input key material of `hkdfBlake2b`. */
const MAX_IKM_BYTES = 65_536;

function resolve(options: Blake2bOptions): { key: Uint8Array; length: number } {
  // A misspelt key would mean no key.
  checkOptionNames(options, ["key", "length"]);
  const { key = NO_KEY, length = BLAKE2B_BYTES } = options;
  requireBytesUpTo("key", key, BLAKE2B_KEY_BYTES);
  if (!Number.isInteger(length) || length < 1 || length > BLAKE2B_BYTES) {
    throw invalidArgument("length", "an integer from 1 to 64");
  }
  return { key, length };
}

/** Feeds any amount of input to the state at STATE, a piece at a time. The caller wipes the piece. */
function absorb(input: Uint8Array): void {
  for (let at = 0; at < input.length; at += INPUT_BYTES) {
    const piece = Math.min(input.length - at, INPUT_BYTES);
    inputArgument.set(piece === input.length ? input : viewOf(input, at, at + piece));
    core.blake2bUpdate(STATE, INPUT, piece);
  }
}

/** Wipes every byte of STAGING that a call with this much input can have touched. */
function wipeStaging(inputLength: number): void {
  memory.fill(0, STAGING, INPUT + Math.min(inputLength, INPUT_BYTES));
}

/**
 * BLAKE2b in one go (RFC 7693).
 *
 * @param input any length
 * @returns the digest, `options.length` bytes (64 by default) in memory of their own
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function blake2b(input: Uint8Array, options: Blake2bOptions = {}): OwnBytes {
  const { key, length } = resolve(options);
  // After the options, because their getters could transfer it away.
  requireBytes("input", input);
  const inputLength = input.length;
  try {
    keyArgument.set(key);
    if (inputLength <= INPUT_BYTES) {
      inputArgument.set(input);
      core.blake2b(OUT, length, INPUT, inputLength, KEY, key.length);
    } else {
      core.blake2bInit(STATE, length, KEY, key.length);
      absorb(input);
      core.blake2bFinal(STATE, OUT);
    }
    return secretCopy(memory.subarray(OUT, OUT + length));
  } finally {
    wipeStaging(inputLength);
  }
}

/**
 * BLAKE2b piece by piece. The state is in JavaScript memory (208 bytes) and in the core only during a call, so any
 * number of hashes may be unfinished at a time.
 */
export class Blake2b {
  #state: Uint8Array | undefined;
  readonly #length: number;

  /**
   * Begins a hash.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT
   */
  constructor(options: Blake2bOptions = {}) {
    const { key, length } = resolve(options);
    this.#length = length;
    try {
      keyArgument.set(key);
      core.blake2bInit(STATE, length, KEY, key.length);
      this.#state = memory.slice(STATE, STATE + BLAKE2B_STATE_BYTES);
    } finally {
      wipeStaging(0);
    }
  }

  /**
   * Adds bytes; any number of calls with any lengths.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_CLOSED after digest() or destroy()
   */
  update(bytes: Uint8Array): this {
    const state = this.#open();
    requireBytes("bytes", bytes);
    const { length } = bytes;
    try {
      memory.set(state, STATE);
      absorb(bytes);
      state.set(viewOf(memory, STATE, STATE + BLAKE2B_STATE_BYTES));
    } finally {
      wipeStaging(length);
    }
    return this;
  }

  /**
   * The digest (`length` bytes). Consumes and wipes the state: afterwards only destroy() is allowed.
   *
   * @throws SealwireError ERR_CLOSED after digest() or destroy()
   */
  digest(): OwnBytes {
    const state = this.#open();
    try {
      memory.set(state, STATE);
      core.blake2bFinal(STATE, OUT);
      return secretCopy(memory.subarray(OUT, OUT + this.#length));
    } finally {
      this.destroy();
      wipeStaging(0);
    }
  }

  /** Wipes the state. Idempotent. */
  destroy(): void {
    this.#state?.fill(0);
    this.#state = undefined;
  }

  #open(): Uint8Array {
    if (this.#state === undefined)
      throw new SealwireError("ERR_CLOSED", "this hash was finished or destroyed");
    return this.#state;
  }
}

/**
 * HMAC-BLAKE2b-512 (RFC 2104 with H = BLAKE2b-512, B = 128).
 *
 * @param key any length; above 128 bytes its BLAKE2b-512 hash is used (RFC 2104 section 2)
 * @param data any length
 * @returns 64 bytes
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function hmacBlake2b(key: Uint8Array, data: Uint8Array): OwnBytes {
  requireBytes("key", key);
  requireBytes("data", data);
  const shortKey = key.length > BLOCK_BYTES ? blake2b(key) : key;
  const dataLength = data.length;
  try {
    if (dataLength > INPUT_BYTES) return hmacInPieces(shortKey, data);
    keyArgument.set(shortKey);
    inputArgument.set(data);
    core.hmacBlake2b(OUT, KEY, shortKey.length, INPUT, dataLength);
    return secretCopy(memory.subarray(OUT, OUT + BLAKE2B_BYTES));
  } finally {
    if (shortKey !== key) shortKey.fill(0);
    wipeStaging(dataLength);
  }
}

/** HMAC of data longer than a piece: H(K ^ opad || H(K ^ ipad || data)), piece by piece. */
function hmacInPieces(key: Uint8Array, data: Uint8Array): OwnBytes {
  const pad = new Uint8Array(BLOCK_BYTES);
  pad.set(key);
  const innerPad = pad.map((byte) => byte ^ 0x36);
  const outerPad = pad.map((byte) => byte ^ 0x5c);
  const secrets = [pad, innerPad, outerPad];
  const hash = new Blake2b();
  try {
    const inner = hash.update(innerPad).update(data).digest();
    secrets.push(inner);
    return new Blake2b().update(outerPad).update(inner).digest();
  } finally {
    hash.destroy();
    for (const secret of secrets) secret.fill(0);
  }
}

/**
 * HKDF as Noise defines it (revision 34, section 4.3) over HMAC-BLAKE2b-512.
 *
 * @param chainingKey 64 bytes
 * @param inputKeyMaterial 0, 32 or 64 bytes in Noise; at most 65,536 here
 * @param outputs 2 or 3
 * @returns that many arrays of 64 bytes
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function hkdfBlake2b(
  chainingKey: Uint8Array,
  inputKeyMaterial: Uint8Array,
  outputs: 2 | 3,
): OwnBytes[] {
  requireBytesOf("chainingKey", chainingKey, BLAKE2B_BYTES);
  requireBytesUpTo("inputKeyMaterial", inputKeyMaterial, MAX_IKM_BYTES);
  if (outputs !== 2 && outputs !== 3) throw invalidArgument("outputs", "2 or 3");
  const materialLength = inputKeyMaterial.length;
  try {
    keyArgument.set(chainingKey);
    inputArgument.set(inputKeyMaterial);
    core.hkdfBlake2b(OUT, KEY, INPUT, materialLength, outputs);
    const keys: OwnBytes[] = [];
    for (let i = 0; i < outputs; i++) {
      keys.push(secretCopy(memory.subarray(OUT + i * BLAKE2B_BYTES, OUT + (i + 1) * BLAKE2B_BYTES)));
    }
    return keys;
  } finally {
    wipeStaging(materialLength);
  }
}
