// X25519 (RFC 7748) on byte arrays.

import { invalidArgument, SealwireError } from "../errors.ts";
import { CURVE_ARGS, core, memory } from "./crypto.ts";

/** Bytes of a private key, a public key and a shared secret. */
export const X25519_BYTES = 32;

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

function requireKey(name: string, key: Uint8Array): void {
  if (!(key instanceof Uint8Array) || key.length !== X25519_BYTES) {
    throw invalidArgument(name, "a Uint8Array of 32 bytes");
  }
}

/**
 * The shared secret of one's own private key and another's public key (RFC 7748 section 5). The private key
 * is clamped, the top bit of the public key ignored, and values from 2^255 - 19 up are accepted, as the RFC
 * asks.
 *
 * @param privateKey 32 bytes
 * @param publicKey 32 bytes
 * @returns 32 bytes in memory of their own
 * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_WEAK_PUBLIC_KEY when the public key has low order, so that
 *   the secret would be all zero whatever the private key (RFC 7748 section 6.1)
 */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  requireKey("privateKey", privateKey);
  requireKey("publicKey", publicKey);
  memory.set(privateKey, PRIVATE_KEY);
  memory.set(publicKey, PUBLIC_KEY);
  const valid = core.x25519(RESULT, PRIVATE_KEY, PUBLIC_KEY);
  const shared = memory.slice(RESULT, RESULT + X25519_BYTES);
  memory.fill(0, CURVE_ARGS, END);
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
export function x25519PublicKey(privateKey: Uint8Array): Uint8Array<ArrayBuffer> {
  requireKey("privateKey", privateKey);
  memory.set(privateKey, PRIVATE_KEY);
  core.x25519Base(RESULT, PRIVATE_KEY);
  const publicKey = memory.slice(RESULT, RESULT + X25519_BYTES);
  memory.fill(0, CURVE_ARGS, END);
  return publicKey;
}

/**
 * A key pair: a fresh one from `crypto.getRandomValues`, or the one of a given private key.
 *
 * @param privateKey 32 bytes, copied; random when left out
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function x25519KeyPair(privateKey?: Uint8Array): KeyPair {
  if (privateKey === undefined) {
    const random = crypto.getRandomValues(new Uint8Array(X25519_BYTES));
    return { privateKey: random, publicKey: x25519PublicKey(random) };
  }
  const publicKey = x25519PublicKey(privateKey);
  // Not slice(): on a Buffer that is a view of the caller's memory.
  return { privateKey: new Uint8Array(privateKey), publicKey };
}
