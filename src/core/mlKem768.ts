// ML-KEM-768 (FIPS 203) on byte arrays: a key encapsulation mechanism that a quantum computer is not known to break.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { type OwnBytes, requireBytesOf } from "./bytes.ts";
import { randomBytes } from "./random.ts";
import { core, memory, STAGING } from "./wasmModule.ts";
import { secretCopy } from "./wipe.ts";

/** Bytes of the seed of a key pair: d ‖ z (FIPS 203 section 7.1). */
export const MLKEM768_SEED_BYTES = 64;
export const MLKEM768_ENCAPSULATION_KEY_BYTES = 1_184;
export const MLKEM768_DECAPSULATION_KEY_BYTES = 2_400;
export const MLKEM768_CIPHERTEXT_BYTES = 1_088;
export const MLKEM768_SHARED_SECRET_BYTES = 32;
/** Bytes of the randomness m of an encapsulation. */
export const MLKEM768_RANDOMNESS_BYTES = 32;

/** A key pair of ML-KEM-768 (FIPS 203). */
export interface MlKem768KeyPair {
  /** 1,184 public bytes, for the peer. */
  encapsulationKey: OwnBytes;
  /** 2,400 secret bytes. */
  decapsulationKey: OwnBytes;
}

/** The result of an encapsulation: a shared secret, and the ciphertext for the other side. */
export interface MlKem768Encapsulation {
  /** 32 secret bytes. */
  sharedSecret: OwnBytes;
  /** 1,088 bytes, for the peer. */
  ciphertext: OwnBytes;
}

// Arguments and results in STAGING, each with padding for the few bytes that the module reads or writes beyond it.
const ENCAPSULATION_KEY = STAGING;
const DECAPSULATION_KEY = STAGING + 0x600;
const CIPHERTEXT = STAGING + 0x1000;
const SHARED_SECRET = STAGING + 0x1600;
const RANDOM = SHARED_SECRET + MLKEM768_SHARED_SECRET_BYTES;
const END = RANDOM + MLKEM768_SEED_BYTES;

function take(from: number, length: number): OwnBytes {
  return secretCopy(memory.subarray(from, from + length));
}

/** Writes secret bytes to RANDOM: a copy of `given`, or fresh ones. */
function writeRandom(given: Uint8Array | undefined, length: number): void {
  if (given !== undefined) {
    memory.set(given, RANDOM);
    return;
  }
  const fresh = randomBytes(length);
  memory.set(fresh, RANDOM);
  fresh.fill(0);
}

/** Runs `step` and wipes the arguments and results, however it ends. */
function wiped<T>(step: () => T): T {
  try {
    return step();
  } finally {
    memory.fill(0, STAGING, END);
  }
}

/**
 * A key pair: a fresh one from `crypto.getRandomValues`, or the one of a given seed (ML-KEM.KeyGen, FIPS 203
 * section 7.1). A seed is the short form in which to keep a decapsulation key.
 *
 * @param seed 64 secret bytes, d ‖ z; random, and wiped here, when left out
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED where the runtime has no source of random bytes
 */
export function mlKem768KeyPair(seed?: Uint8Array): MlKem768KeyPair {
  if (seed !== undefined) requireBytesOf("seed", seed, MLKEM768_SEED_BYTES);
  return wiped(() => {
    writeRandom(seed, MLKEM768_SEED_BYTES);
    core.mlKem768KeyGen(ENCAPSULATION_KEY, DECAPSULATION_KEY, RANDOM);
    return {
      encapsulationKey: take(ENCAPSULATION_KEY, MLKEM768_ENCAPSULATION_KEY_BYTES),
      decapsulationKey: take(DECAPSULATION_KEY, MLKEM768_DECAPSULATION_KEY_BYTES),
    };
  });
}

/**
 * A fresh shared secret, and the ciphertext from which the owner of the key pair gets the same one (ML-KEM.Encaps,
 * section 7.2).
 *
 * @param encapsulationKey 1,184 bytes
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_WEAK_PUBLIC_KEY when the key fails the modulus check of section 7.2;
 *   ERR_UNSUPPORTED where the runtime has no source of random bytes
 */
export function mlKem768Encapsulate(encapsulationKey: Uint8Array): MlKem768Encapsulation {
  return mlKem768EncapsulateInternal(encapsulationKey, undefined);
}

/**
 * ML-KEM.Encaps_internal (section 6.2): with given randomness `m`, 32 bytes, for tests and test vectors.
 *
 * @throws SealwireError as `mlKem768Encapsulate`
 */
export function mlKem768EncapsulateInternal(
  encapsulationKey: Uint8Array,
  m: Uint8Array | undefined,
): MlKem768Encapsulation {
  requireBytesOf("encapsulationKey", encapsulationKey, MLKEM768_ENCAPSULATION_KEY_BYTES);
  if (m !== undefined) requireBytesOf("m", m, MLKEM768_RANDOMNESS_BYTES);
  return wiped(() => {
    memory.set(encapsulationKey, ENCAPSULATION_KEY);
    writeRandom(m, MLKEM768_RANDOMNESS_BYTES);
    if (core.mlKem768Encaps(SHARED_SECRET, CIPHERTEXT, ENCAPSULATION_KEY, RANDOM) === 0) {
      throw new SealwireError(
        "ERR_WEAK_PUBLIC_KEY",
        "the encapsulation key has a coefficient of 3329 or more",
      );
    }
    return {
      sharedSecret: take(SHARED_SECRET, MLKEM768_SHARED_SECRET_BYTES),
      ciphertext: take(CIPHERTEXT, MLKEM768_CIPHERTEXT_BYTES),
    };
  });
}

/**
 * The shared secret of a ciphertext (ML-KEM.Decaps, section 7.3). A ciphertext that was changed or not made for this
 * key gives 32 other bytes, which only this key's owner can compute, instead of an error (implicit rejection). The
 * mistake shows when they are used.
 *
 * @param decapsulationKey 2,400 bytes, from `mlKem768KeyPair`
 * @param ciphertext 1,088 bytes
 * @returns 32 bytes in memory of their own
 * @throws SealwireError ERR_INVALID_ARGUMENT, also if the decapsulation key fails the hash check of section 7.3
 */
export function mlKem768Decapsulate(decapsulationKey: Uint8Array, ciphertext: Uint8Array): OwnBytes {
  requireBytesOf("decapsulationKey", decapsulationKey, MLKEM768_DECAPSULATION_KEY_BYTES);
  requireBytesOf("ciphertext", ciphertext, MLKEM768_CIPHERTEXT_BYTES);
  return wiped(() => {
    memory.set(decapsulationKey, DECAPSULATION_KEY);
    memory.set(ciphertext, CIPHERTEXT);
    if (core.mlKem768Decaps(SHARED_SECRET, DECAPSULATION_KEY, CIPHERTEXT) === 0) {
      throw invalidArgument("decapsulationKey", "whole: its hash of the encapsulation key is wrong");
    }
    return take(SHARED_SECRET, MLKEM768_SHARED_SECRET_BYTES);
  });
}
