// UTF-8 (RFC 3629; malformed input as in the WHATWG Encoding Standard). TextEncoder and TextDecoder are no part of the
// language, and test environments that imitate browsers lack them. Where they are missing, this file does their work.

const encoder = typeof TextEncoder === "function" ? new TextEncoder() : undefined;
const decoder = typeof TextDecoder === "function" ? new TextDecoder() : undefined;
const strictDecoder =
  typeof TextDecoder === "function" ? new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }) : undefined;
/** In Bun and Deno this decoder is faster than the strict one. */
const markedDecoder =
  typeof TextDecoder === "function" ? new TextDecoder("utf-8", { ignoreBOM: true }) : undefined;
/** Replaces bytes that are no character. */
const REPLACEMENT = 0xfffd;
const REPLACEMENT_CHARACTER = "\ufffd";
const BYTE_ORDER_MARK = "\ufeff";

/** A text's bytes, in memory of their own; U+FFFD replaces half of a surrogate pair. */
export function encodeText(text: string): Uint8Array {
  return encoder === undefined ? encodeByHand(text) : encoder.encode(text);
}

/** The text of bytes, without a byte order mark; U+FFFD replaces bytes that are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  return decoder === undefined ? decodeByHand(bytes) : decoder.decode(bytes);
}

/** The text of bytes, including a byte order mark; undefined if they are not UTF-8. */
export function decodeStrictText(bytes: Uint8Array): string | undefined {
  if (strictDecoder === undefined || markedDecoder === undefined) return decodeStrictByHand(bytes);
  const text = markedDecoder.decode(bytes);
  // The character may be a replacement, or may have been sent.
  if (!text.includes(REPLACEMENT_CHARACTER)) return text;
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** `decodeStrictText` without TextDecoder; for tests. */
export function decodeStrictByHand(bytes: Uint8Array): string | undefined {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = (marked ? BYTE_ORDER_MARK : "") + decodeByHand(bytes);
  // A replaced byte gives other bytes when the text is written again.
  const again = encodeByHand(text);
  return again.length === bytes.length && again.every((byte, i) => byte === bytes[i]) ? text : undefined;
}

/** `encodeText` without TextEncoder; for tests. */
export function encodeByHand(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), continuation(point));
    else if (point < 0x10000) {
      const isHalf = point >= 0xd800 && point <= 0xdfff;
      const whole = isHalf ? REPLACEMENT : point;
      bytes.push(0xe0 | (whole >> 12), continuation(whole >> 6), continuation(whole));
    } else {
      bytes.push(
        0xf0 | (point >> 18),
        continuation(point >> 12),
        continuation(point >> 6),
        continuation(point),
      );
    }
  }
  return Uint8Array.from(bytes);
}

function continuation(bits: number): number {
  return 0x80 | (bits & 0x3f);
}

/** The number of bytes after this first one, and the range of the second; undefined if no sequence begins with it. */
function sequenceOf(first: number): { more: number; low: number; high: number } | undefined {
  if (first >= 0xc2 && first <= 0xdf) return { more: 1, low: 0x80, high: 0xbf };
  // Excludes overlong forms, halves of surrogate pairs, and values above U+10FFFF.
  if (first >= 0xe0 && first <= 0xef) {
    return { more: 2, low: first === 0xe0 ? 0xa0 : 0x80, high: first === 0xed ? 0x9f : 0xbf };
  }
  if (first >= 0xf0 && first <= 0xf4) {
    return { more: 3, low: first === 0xf0 ? 0x90 : 0x80, high: first === 0xf4 ? 0x8f : 0xbf };
  }
  return undefined;
}

/** `decodeText` without TextDecoder; for tests. One U+FFFD replaces each longest beginning of a sequence. */
export function decodeByHand(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++]!;
    const sequence = sequenceOf(first);
    let point = first < 0x80 ? first : REPLACEMENT;
    if (sequence !== undefined) {
      let { more, low, high } = sequence;
      point = first & (0x3f >> more);
      for (; more > 0 && at < bytes.length && bytes[at]! >= low && bytes[at]! <= high; more--) {
        point = (point << 6) | (bytes[at++]! & 0x3f);
        [low, high] = [0x80, 0xbf];
      }
      if (more > 0) point = REPLACEMENT;
    }
    text += String.fromCodePoint(point);
  }
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

/**
 * Characters that a terminal may obey, that end a line, or that change the order in which text is shown: texts of a peer
 * have no business with them.
 */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text of elsewhere as one line, with such characters written out as JSON writes them. */
export function oneLine(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
