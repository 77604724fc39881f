// Base64 and base64url (RFC 4648 sections 4 and 5) without padding. The text of a key is as secret as the key:
// digits and characters are computed, not looked up, and nothing branches on them.

import type { OwnBytes } from "./bytes.ts";
import { secretBytes } from "./wipe.ts";

/** All ones when low <= c <= high, else 0; for values below 2^15. */
function inRange(c: number, low: number, high: number): number {
  return ((low - 1 - c) & (c - high - 1)) >> 31;
}

/** The six bits of a character of either alphabet, or -1. */
function sextetOf(c: number): number {
  return (
    (inRange(c, 65, 90) & (c - 64)) + // A to Z: 0
    (inRange(c, 97, 122) & (c - 70)) + // a to z: 26
    (inRange(c, 48, 57) & (c + 5)) + // 0 to 9: 52
    ((inRange(c, 43, 43) | inRange(c, 45, 45)) & 63) + // + or -
    ((inRange(c, 47, 47) | inRange(c, 95, 95)) & 64) - // / or _
    1
  );
}

/** The character of six bits, in the URL-safe alphabet. */
function characterOf(value: number): number {
  return (
    (inRange(value, 0, 25) & (value + 65)) +
    (inRange(value, 26, 51) & (value + 71)) +
    (inRange(value, 52, 61) & (value - 4)) +
    (inRange(value, 62, 62) & 45) +
    (inRange(value, 63, 63) & 95)
  );
}

/**
 * The bytes of a text in either alphabet, without padding. Undefined for any other character, for a length that no
 * bytes have, and if unused bits at the end are not zero; so every value has one text.
 */
export function decodeBase64(text: string): OwnBytes | undefined {
  const { length } = text;
  if (length % 4 === 1) return undefined;
  const bytes = secretBytes((length * 3) >>> 2);
  let bad = 0;
  let bits = 0;
  let held = 0;
  for (let i = 0, at = 0; i < length; i++) {
    // Codes above the range of the comparisons are replaced by "~", which is in neither alphabet.
    const code = text.charCodeAt(i);
    const value = sextetOf(code < 128 ? code : 126);
    bad |= value;
    bits = ((bits << 6) | (value & 63)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = bits >> held;
    }
  }
  if (bad >= 0 && (bits & ((1 << held) - 1)) === 0) return bytes;
  bytes.fill(0);
  return undefined;
}

/** The base64url text of bytes, without padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (let i = 0; i < bytes.length; i++) {
    bits = ((bits << 8) | bytes[i]!) & 0xffff;
    for (held += 8; held >= 6; ) {
      held -= 6;
      text += String.fromCharCode(characterOf((bits >> held) & 63));
    }
  }
  if (held > 0) text += String.fromCharCode(characterOf((bits << (6 - held)) & 63));
  return text;
}
