// The hash functions of Noise (revision 34, sections 4.3 and 5.2), which write their results to the caller's arrays.
// They compute what `blake2b` and `hkdfBlake2b` do, without allocating. Arguments are trusted. The core's copies of
// them are wiped before each return.
//
// STAGING: h or the chaining key and outputs (3 x 64), input key material or data from + 256 on.

import { core, memory, STAGING, STAGING_BYTES } from "./wasmModule.ts";

const NOTHING = new Uint8Array(0);
/** Bytes of a hash, and of a key that is the first part of one (sections 4.3 and 5.1). */
export const HASHLEN = 64;
export const KEYLEN = 32;
const DATA = STAGING + 256;

/** The longest data of `mixHash` and input key material of the others. */
export const MAX_MIX_BYTES: number = STAGING_BYTES - 256;

const outputs = [0, 1, 2].map((i) => memory.subarray(STAGING + i * HASHLEN, STAGING + (i + 1) * HASHLEN));
const first = outputs[0]!;
/** k is the first half of an output: temp_k is truncated to 32 bytes. */
const [firstKey, secondKey, thirdKey] = outputs.map((output) => output.subarray(0, KEYLEN)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/** Exactly as long as the longest allowed argument. A longer one is refused, and no other memory is overwritten. */
const dataArgument = memory.subarray(DATA, DATA + MAX_MIX_BYTES);

/** Runs one computation over STAGING and wipes its bytes, whatever happens. */
function overStaging(data: Uint8Array, compute: (dataLength: number) => void): void {
  const { length } = data;
  try {
    dataArgument.set(data);
    compute(length);
  } finally {
    memory.fill(0, STAGING, DATA + length);
  }
}

/** h (64 bytes) = HASH(h ‖ data). */
export function mixHash(h: Uint8Array, data: Uint8Array): void {
  overStaging(data, (length) => {
    memory.set(h, STAGING);
    core.mixHash(STAGING, DATA, length);
    h.set(first);
  });
}

/** ck (64 bytes), k (32 bytes) = HKDF(ck, inputKeyMaterial, 2). */
export function mixKey(ck: Uint8Array, k: Uint8Array, inputKeyMaterial: Uint8Array): void {
  overStaging(inputKeyMaterial, (length) => {
    memory.set(ck, STAGING);
    core.hkdfBlake2b(STAGING, STAGING, DATA, length, 2);
    ck.set(first);
    k.set(secondKey);
  });
}

/** ck, temp_h, k = HKDF(ck, inputKeyMaterial, 3); h = HASH(h ‖ temp_h). */
export function mixKeyAndHash(
  ck: Uint8Array,
  h: Uint8Array,
  k: Uint8Array,
  inputKeyMaterial: Uint8Array,
): void {
  overStaging(inputKeyMaterial, (length) => {
    memory.set(ck, STAGING);
    core.hkdfBlake2b(STAGING, STAGING, DATA, length, 3);
    ck.set(first);
    k.set(thirdKey);
    memory.set(h, STAGING);
    core.mixHash(STAGING, STAGING + HASHLEN, HASHLEN);
    h.set(first);
  });
}

/** k1, k2 (32 bytes each) = HKDF(ck, "", 2). */
export function split(ck: Uint8Array, k1: Uint8Array, k2: Uint8Array): void {
  overStaging(NOTHING, () => {
    memory.set(ck, STAGING);
    core.hkdfBlake2b(STAGING, STAGING, DATA, 0, 2);
    k1.set(firstKey);
    k2.set(secondKey);
  });
}
