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
export function decodeStrictByHand(bytes: Iterable<number>): string | undefined {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}

/** `encodeText` without TextEncoder; for tests. */
export function encodeByHand(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.replace(/\p{Surrogate}/gu, REPLACEMENT_CHARACTER));
  return Uint8Array.from(escaped.match(/%..|./g) ?? [], (unit) =>
    unit.length > 1 ? Number.parseInt(unit.slice(1), 16) : unit.charCodeAt(0),
  );
}

/**
 * A character's bytes, or as many as could begin one, or any byte. The second byte excludes overlong forms, halves of
 * surrogate pairs, and values above U+10FFFF.
 */
const SEQUENCES =
  /[\xc2-\xdf][\x80-\xbf]?|(\xe0[\xa0-\xbf]|\xed[\x80-\x9f]|[\xe1-\xec\xee\xef][\x80-\xbf])[\x80-\xbf]?|(\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]{0,2}|./gs;

/** `decodeText` without TextDecoder; for tests. One U+FFFD replaces each longest beginning of a sequence. */
export function decodeByHand(bytes: Uint8Array): string {
  let units = "";
  for (const byte of bytes) units += String.fromCharCode(byte);
  const text = units.replace(SEQUENCES, (sequence) => {
    const codes = Array.from(sequence, (unit) => unit.charCodeAt(0));
    return decodeStrictByHand(codes) ?? REPLACEMENT_CHARACTER;
  });
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
