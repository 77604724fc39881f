// UTF-8 (RFC 3629). TextEncoder and TextDecoder are no part of the language, and test environments that imitate
// browsers leave them out; the runtime's own are then still in node:util.

import { SealwireError } from "../errors.ts";
import { builtinModule } from "./builtin.ts";

type Coders = Partial<Pick<typeof globalThis, "TextEncoder" | "TextDecoder">>;

const { TextEncoder: Encoder, TextDecoder: Decoder } = (
  typeof TextEncoder === "function" && typeof TextDecoder === "function"
    ? globalThis
    : builtinModule("node:util")
) as Coders;
const encoder = Encoder && new Encoder();
const decoder = Decoder && new Decoder();

function unsupported(): SealwireError {
  return new SealwireError(
    "ERR_UNSUPPORTED",
    "text needs TextEncoder and TextDecoder, which this runtime lacks",
  );
}

/**
 * A text's bytes, in memory of their own.
 *
 * @throws SealwireError ERR_UNSUPPORTED, as does the other
 */
export function encodeText(text: string): Uint8Array {
  if (encoder === undefined) throw unsupported();
  return encoder.encode(text);
}

/** The text of bytes; U+FFFD stands for what is not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  if (decoder === undefined) throw unsupported();
  return decoder.decode(bytes);
}
