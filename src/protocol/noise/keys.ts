// Keys as applications hold them: 32 bytes, or text. Decoding and comparing; nothing here does cryptography.

import { KEY_BYTES } from "../../constants.ts";
import { invalidArgument } from "../../errors.ts";
import { dhFunctions, type KeyPair } from "./dh.ts";

/** 32 bytes; or their base64url or base64 text (43 characters, padding allowed), or 64 hex digits. */
export type KeyInput = Uint8Array | string;

const expected = "32 bytes, as a Uint8Array, base64url, base64 or hex text";

/**
 * The 32 bytes of a key, in memory of their own.
 *
 * @param name what the error message calls it; the key itself is never in a message
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function decodeKey(name: string, key: KeyInput): Uint8Array {
  if (key instanceof Uint8Array) {
    if (key.length !== KEY_BYTES) throw invalidArgument(name, `${expected}; it has ${key.length} bytes`);
    return new Uint8Array(key);
  }
  if (typeof key !== "string") throw invalidArgument(name, expected);
  if (/^[0-9a-fA-F]{64}$/.test(key)) {
    return Uint8Array.from({ length: KEY_BYTES }, (_, i) => Number.parseInt(key.slice(2 * i, 2 * i + 2), 16));
  }
  const text = key.replace(/=$/, "").replaceAll("+", "-").replaceAll("/", "_");
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) throw invalidArgument(name, expected);
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // 43 characters carry two bits more than 32 bytes; where they are not zero the text was damaged or cut.
  if (encodeKey(bytes) !== text) throw invalidArgument(name, expected);
  return bytes;
}

/** The base64url text of a key (43 characters for 32 bytes, no padding). */
export function encodeKey(key: Uint8Array): string {
  let binary = "";
  for (const byte of key) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Whether two keys are equal, in time that depends on their lengths only. */
export function equalKeys(a: Uint8Array, b: Uint8Array): boolean {
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

/** The pair of a static private key in any form that options take. */
export function keyPairOf(name: string, key: KeyInput | Pick<KeyPair, "privateKey">): KeyPair {
  const isPair = typeof key === "object" && key !== null && "privateKey" in key;
  const privateKey = decodeKey(isPair ? `${name}.privateKey` : name, isPair ? key.privateKey : key);
  const pair = dhFunctions.generateKeyPair(privateKey);
  privateKey.fill(0);
  return pair;
}
