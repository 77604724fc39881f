// X25519 (RFC 7748) on byte arrays.

import { SealwireError } from "../base/errors.ts";
import { type OwnBytes, requireBytesOf } from "./bytes.ts";
import { randomBytes } from "./random.ts";
import { CURVE_ARGS, core, memory } from "./wasmModule.ts";
import { secretCopy } from "./wipe.ts";

/** Bytes of a private key, a public key and a shared secret. */
export const X25519_BYTES = 32;

/** A key pair of X25519, 32 bytes each. */
export interface KeyPair {
  /** 32 secret bytes. */
  privateKey: Uint8Array;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

const PRIVATE_KEY = CURVE_ARGS;
const PUBLIC_KEY = CURVE_ARGS + X25519_BYTES;
const RESULT = CURVE_ARGS + 2 * X25519_BYTES;
const END = CURVE_ARGS + 3 * X25519_BYTES;
// Views of exactly these lengths. If another thread makes an argument longer meanwhile, it does not fit, and no other
// memory is overwritten.
const privateKeyArgument = memory.subarray(PRIVATE_KEY, PUBLIC_KEY);
const publicKeyArgument = memory.subarray(PUBLIC_KEY, RESULT);

/**
 * The shared secret of one's own private key and another's public key (RFC 7748 section 5). As the RFC asks, the
 * private key is clamped, the top bit of the public key is ignored, and values from 2^255 - 19 up are accepted.
 *
 * @param privateKey 32 bytes
 * @param publicKey 32 bytes
 * @returns 32 bytes in memory of their own
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_WEAK_PUBLIC_KEY if the public key has low order, so that
 *   the secret would be all zero for every private key (RFC 7748 section 6.1)
 */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): OwnBytes {
  requireBytesOf("privateKey", privateKey, X25519_BYTES);
  requireBytesOf("publicKey", publicKey, X25519_BYTES);
  let valid = 0;
  let shared: OwnBytes;
  try {
    privateKeyArgument.set(privateKey);
    publicKeyArgument.set(publicKey);
    valid = core.x25519(RESULT, PRIVATE_KEY, PUBLIC_KEY);
    shared = secretCopy(memory.subarray(RESULT, RESULT + X25519_BYTES));
  } finally {
    memory.fill(0, CURVE_ARGS, END);
  }
  if (valid === 0) {
    throw new SealwireError("ERR_WEAK_PUBLIC_KEY", "the public key gives an all-zero shared secret");
  }
  return shared;
}

/**
 * The public key of a private key: X25519 with the base point 9 (RFC 7748 section 6.1).
 *
 * @param privateKey 32 bytes, clamped here
 * @returns 32 bytes
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function x25519PublicKey(privateKey: Uint8Array): OwnBytes {
  requireBytesOf("privateKey", privateKey, X25519_BYTES);
  try {
    privateKeyArgument.set(privateKey);
    core.x25519Base(RESULT, PRIVATE_KEY);
    return memory.slice(RESULT, RESULT + X25519_BYTES);
  } finally {
    memory.fill(0, CURVE_ARGS, END);
  }
}

/**
 * A key pair: a fresh one from `crypto.getRandomValues`, or the one of a given private key.
 *
 * @param privateKey 32 bytes, copied; random when left out
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED where the runtime has no source of random bytes
 */
export function x25519KeyPair(privateKey?: Uint8Array): KeyPair {
  if (privateKey === undefined) {
    const random = randomBytes(X25519_BYTES);
    return { privateKey: random, publicKey: x25519PublicKey(random) };
  }
  requireBytesOf("privateKey", privateKey, X25519_BYTES);
  // Copied first, so that both keys belong together even if another thread can write to it. Not slice(): on a Buffer
  // that is a view.
  const copy = secretCopy(privateKey);
  return { privateKey: copy, publicKey: x25519PublicKey(copy) };
}
