// BLAKE2b (RFC 7693) on byte arrays, HMAC (RFC 2104) and Noise's HKDF over it.

import { invalidArgument } from "../errors.ts";
import { BLAKE2B_STATE_BYTES, core, memory, STAGING, STAGING_BYTES } from "./crypto.ts";

/** The longest digest, Noise's HASHLEN. */
export const BLAKE2B_BYTES = 64;
/** The longest key. */
export const BLAKE2B_KEY_BYTES = 64;
/** HMAC's block length B, Noise's BLOCKLEN. */
const BLOCK_BYTES = 128;

export interface Blake2bOptions {
  /** Secret key of 0 to 64 bytes (RFC 7693 section 2.5); none by default. */
  key?: Uint8Array;
  /** Digest length in bytes, 1 to 64; 64 by default. */
  length?: number;
}

// STAGING holds a state, a key, the output (up to three times 64 bytes) and a window of the input.
const STATE = STAGING;
const KEY = STAGING + 256;
const OUT = STAGING + 512;
const INPUT = STAGING + 1024;
const INPUT_BYTES = STAGING_BYTES - 1024;

const NO_KEY = new Uint8Array(0);

function requireBytes(name: string, value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw invalidArgument(name, "a Uint8Array");
}

function resolve(options: Blake2bOptions): { key: Uint8Array; length: number } {
  if (options === null || typeof options !== "object") throw invalidArgument("options", "an object");
  const { key = NO_KEY, length = BLAKE2B_BYTES } = options;
  if (!(key instanceof Uint8Array) || key.length > BLAKE2B_KEY_BYTES) {
    throw invalidArgument("key", "a Uint8Array of at most 64 bytes");
  }
  if (!Number.isInteger(length) || length < 1 || length > BLAKE2B_BYTES) {
    throw invalidArgument("length", "an integer from 1 to 64");
  }
  return { key, length };
}

/** Feeds any amount of input to the state at STATE, a window at a time, and wipes the window. */
function absorb(input: Uint8Array): void {
  for (let at = 0; at < input.length; at += INPUT_BYTES) {
    const piece = Math.min(input.length - at, INPUT_BYTES);
    memory.set(at === 0 && piece === input.length ? input : input.subarray(at, at + piece), INPUT);
    core.blake2bUpdate(STATE, INPUT, piece);
    memory.fill(0, INPUT, INPUT + piece);
  }
}

/** Copies `length` bytes out of the output region and wipes all 64 there. */
function takeOutput(length: number): Uint8Array<ArrayBuffer> {
  const output = memory.slice(OUT, OUT + length);
  memory.fill(0, OUT, OUT + BLAKE2B_BYTES);
  return output;
}

/**
 * BLAKE2b in one go (RFC 7693).
 *
 * @param input any length
 * @returns the digest, `options.length` bytes (64 by default) in memory of their own
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function blake2b(input: Uint8Array, options: Blake2bOptions = {}): Uint8Array<ArrayBuffer> {
  requireBytes("input", input);
  const { key, length } = resolve(options);
  if (key.length > 0) memory.set(key, KEY);
  if (input.length <= INPUT_BYTES) {
    memory.set(input, INPUT);
    core.blake2b(OUT, length, INPUT, input.length, KEY, key.length);
    memory.fill(0, INPUT, INPUT + input.length);
  } else {
    core.blake2bInit(STATE, length, KEY, key.length);
    absorb(input);
    core.blake2bFinal(STATE, OUT);
  }
  if (key.length > 0) memory.fill(0, KEY, KEY + key.length);
  return takeOutput(length);
}

/**
 * BLAKE2b piece by piece. The state lives in JavaScript memory (208 bytes) and visits the core during a
 * call, so any number may be open at a time.
 */
export class Blake2b {
  #state: Uint8Array | undefined;
  readonly #length: number;

  /** @throws SealwireError ERR_INVALID_ARGUMENT */
  constructor(options: Blake2bOptions = {}) {
    const { key, length } = resolve(options);
    this.#length = length;
    memory.set(key, KEY);
    core.blake2bInit(STATE, length, KEY, key.length);
    memory.fill(0, KEY, KEY + key.length);
    this.#state = memory.slice(STATE, STATE + BLAKE2B_STATE_BYTES);
    memory.fill(0, STATE, STATE + BLAKE2B_STATE_BYTES);
  }

  /**
   * Adds bytes; any number of calls with any lengths.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT, also after digest() or destroy()
   */
  update(bytes: Uint8Array): this {
    const state = this.#open();
    requireBytes("bytes", bytes);
    memory.set(state, STATE);
    absorb(bytes);
    state.set(memory.subarray(STATE, STATE + BLAKE2B_STATE_BYTES));
    memory.fill(0, STATE, STATE + BLAKE2B_STATE_BYTES);
    return this;
  }

  /**
   * The digest (`length` bytes). Consumes and wipes the state: afterwards only destroy() is allowed.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT after digest() or destroy()
   */
  digest(): Uint8Array<ArrayBuffer> {
    memory.set(this.#open(), STATE);
    core.blake2bFinal(STATE, OUT); // wipes STATE
    this.destroy();
    return takeOutput(this.#length);
  }

  /** Wipes the state. Idempotent. */
  destroy(): void {
    this.#state?.fill(0);
    this.#state = undefined;
  }

  #open(): Uint8Array {
    if (this.#state === undefined) throw invalidArgument("this Blake2b", "used before digest() or destroy()");
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
export function hmacBlake2b(key: Uint8Array, data: Uint8Array): Uint8Array<ArrayBuffer> {
  requireBytes("key", key);
  requireBytes("data", data);
  const shortKey = key.length > BLOCK_BYTES ? blake2b(key) : key;
  let mac: Uint8Array<ArrayBuffer>;
  if (data.length <= INPUT_BYTES) {
    memory.set(shortKey, KEY);
    memory.set(data, INPUT);
    core.hmacBlake2b(OUT, KEY, shortKey.length, INPUT, data.length);
    memory.fill(0, INPUT, INPUT + data.length);
    memory.fill(0, KEY, KEY + shortKey.length);
    mac = takeOutput(BLAKE2B_BYTES);
  } else {
    mac = hmacInWindows(shortKey, data);
  }
  if (shortKey !== key) shortKey.fill(0);
  return mac;
}

/** HMAC of data larger than the window: H(K ^ opad || H(K ^ ipad || data)), piece by piece. */
function hmacInWindows(key: Uint8Array, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const pad = new Uint8Array(BLOCK_BYTES);
  pad.set(key);
  const inner = new Blake2b()
    .update(pad.map((byte) => byte ^ 0x36))
    .update(data)
    .digest();
  const mac = new Blake2b()
    .update(pad.map((byte) => byte ^ 0x5c))
    .update(inner)
    .digest();
  pad.fill(0);
  inner.fill(0);
  return mac;
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
): Uint8Array<ArrayBuffer>[] {
  if (!(chainingKey instanceof Uint8Array) || chainingKey.length !== BLAKE2B_BYTES) {
    throw invalidArgument("chainingKey", "a Uint8Array of 64 bytes");
  }
  if (!(inputKeyMaterial instanceof Uint8Array) || inputKeyMaterial.length > 65_536) {
    throw invalidArgument("inputKeyMaterial", "a Uint8Array of at most 65,536 bytes");
  }
  if (outputs !== 2 && outputs !== 3) throw invalidArgument("outputs", "2 or 3");
  memory.set(chainingKey, KEY);
  memory.set(inputKeyMaterial, INPUT);
  core.hkdfBlake2b(OUT, KEY, INPUT, inputKeyMaterial.length, outputs);
  const keys: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < outputs; i++) {
    keys.push(memory.slice(OUT + i * BLAKE2B_BYTES, OUT + (i + 1) * BLAKE2B_BYTES));
  }
  memory.fill(0, OUT, OUT + outputs * BLAKE2B_BYTES);
  memory.fill(0, KEY, KEY + BLAKE2B_BYTES);
  memory.fill(0, INPUT, INPUT + inputKeyMaterial.length);
  return keys;
}
