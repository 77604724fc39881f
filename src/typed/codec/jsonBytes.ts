// The bytes of JSON's tokens (RFC 8259), and the longest text that this package itself writes and reads.

import { encodeText } from "../../core/text.ts";

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const MINUS = 0x2d;
export const ZERO = 0x30;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const TRUE = encodeText("true");
export const FALSE = encodeText("false");
export const NULL = encodeText("null");

/** The longest text of JSON that is written and read by this package itself. */
export const LONGEST_PLAIN = 1_024;
