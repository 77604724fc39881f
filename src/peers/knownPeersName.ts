// What a name in a file of known peers may be. Apart from the file's other code, which is loaded when the file is first
// used: a bad name is told at once.

import { invalidArgument } from "../base/errors.ts";
import { encodeText } from "../core/text.ts";

/** A name is stored as UTF-8 of at most this many bytes: a DNS name or an encoded path of a socket fits. */
const MAX_NAME_BYTES = 512;
/** No space, no invisible character, and no character at the beginning that the format uses. */
const NAME = /^[^\s\p{Cc}\p{Cf}\p{Cs}#@][^\s\p{Cc}\p{Cf}\p{Cs}]*$/u;

/** Whether the file can hold this name. U+FFFD stands for bytes that were no UTF-8. */
export function isName(name: unknown): name is string {
  return (
    typeof name === "string" &&
    NAME.test(name) &&
    !name.includes("\ufffd") &&
    encodeText(name).length <= MAX_NAME_BYTES
  );
}

/** @throws SealwireError ERR_INVALID_ARGUMENT where the file can't hold it */
export function requireName(name: unknown): asserts name is string {
  if (!isName(name)) {
    throw invalidArgument(
      "name",
      "text of at most 512 bytes without spaces or invisible characters that does not begin with # or @",
    );
  }
}
