// Static keys and psks as applications hold them: 32 bytes, or text. This file decodes and compares them.

import { invalidArgument } from "../../base/errors.ts";
import { decodeBase64, encodeBase64 } from "../../core/base64.ts";
import { isBytes, requireBytes, requireBytesOf } from "../../core/bytes.ts";
import { secretBytes, secretCopy } from "../../core/wipe.ts";
import { KEY_BYTES } from "../wire.ts";
import { dhFunctions, type KeyPair } from "./dh.ts";

/** 32 bytes; or their base64url or base64 text (43 characters, padding allowed), or 64 hex digits. */
export type KeyInput = Uint8Array | string;

/** The characters of a key in base64, without padding. */
const KEY_CHARACTERS = 43;
const expected = "32 bytes, as a Uint8Array, base64url, base64 or hex text";

/**
 * The 32 bytes of a key, in memory of their own.
 *
 * @param name the name of the key in the error message, which never contains the key
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function decodeKey(name: string, key: KeyInput): Uint8Array {
  if (typeof name !== "string") throw invalidArgument("name", "a string");
  if (isBytes(key)) {
    requireBytes(name, key, expected);
    if (key.length !== KEY_BYTES) throw invalidArgument(name, `${expected}; it has ${key.length} bytes`);
    return secretCopy(key);
  }
  if (typeof key !== "string") throw invalidArgument(name, expected);
  if (/^[0-9a-fA-F]{64}$/.test(key)) {
    const bytes = secretBytes(KEY_BYTES);
    for (let i = 0; i < KEY_BYTES; i++) bytes[i] = Number.parseInt(key.slice(2 * i, 2 * i + 2), 16);
    return bytes;
  }
  // 43 characters carry two bits more than 32 bytes. If these are not zero, the text was damaged or cut.
  const text = key.replace(/=$/, "");
  const bytes = text.length === KEY_CHARACTERS ? decodeBase64(text) : undefined;
  if (bytes === undefined) throw invalidArgument(name, `${expected}; ${mistakeIn(key)}`);
  return bytes;
}

/** What is wrong with a text, without any of its characters. */
function mistakeIn(key: string): string {
  return key.trim() === key ? `the text has ${key.length} characters` : "the text has white space around it";
}

/**
 * The base64url text of a key: 43 characters, no padding.
 *
 * @param key 32 bytes
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function encodeKey(key: Uint8Array): string {
  requireBytesOf("key", key, KEY_BYTES);
  return encodeBase64(key);
}

/**
 * Whether two keys are equal, in time that depends on their lengths only.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function equalKeys(a: Uint8Array, b: Uint8Array): boolean {
  requireBytes("a", a);
  requireBytes("b", b);
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/**
 * A fresh static key pair for `staticKey`, 32 bytes each, from `crypto.getRandomValues`. Keep `privateKey`
 * secret; give `publicKey` to the peers. `encodeKey` makes text of either.
 */
export function generateKeyPair(): KeyPair {
  return dhFunctions.generateKeyPair();
}

/**
 * The pair of a static private key in any form that options take.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function keyPairOf(name: string, key: KeyInput | Pick<KeyPair, "privateKey">): KeyPair {
  const isPair = typeof key === "object" && key !== null && !isBytes(key);
  const given = isPair ? key.privateKey : key;
  if (isPair && given === undefined) throw invalidArgument(name, `${expected}, or a key pair`);
  const privateKey = decodeKey(isPair ? `${name}.privateKey` : name, given);
  try {
    return dhFunctions.generateKeyPair(privateKey);
  } finally {
    privateKey.fill(0);
  }
}
