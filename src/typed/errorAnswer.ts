// The body of an answer that is an error: u8 n ‖ code (ASCII) ‖ u16be m ‖ text (UTF-8) ‖ data. Code and text are the
// same in every codec, so that a peer without this side's codec still reads them.

import { viewOf } from "../core/bytes.ts";
import { decodeText, encodeText } from "../core/text.ts";
import { wipe } from "../core/wipe.ts";
import { MAX_TEXT_BYTES } from "../protocol/errorBody.ts";
import type { Call, Message } from "../rpc/peer.ts";
import type { BodyLender } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { type ErrorParts, isCode, type RpcError, receivedError } from "./rpcError.ts";
import { headOfAnswer, headOfMessage, speaksTyped, What } from "./typedHead.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * The body, in memory of its own. The data are encoded first, copied, and their memory is given back.
 *
 * @throws SealwireError the codec's error for data that it can't carry
 */
export function encodeErrorAnswer(lender: BodyLender, { code, message, data }: ErrorParts): Uint8Array {
  const dataBytes = data === undefined ? NO_BYTES : lender.encode(data);
  const codeBytes = encodeText(code);
  const text = encodeText(message.slice(0, MAX_TEXT_BYTES));
  const textLength = Math.min(text.length, MAX_TEXT_BYTES);
  const body = new Uint8Array(3 + codeBytes.length + textLength + dataBytes.length);
  body[0] = codeBytes.length;
  body.set(codeBytes, 1);
  const at = 1 + codeBytes.length;
  body[at] = textLength >>> 8;
  body[at + 1] = textLength;
  body.set(viewOf(text, 0, textLength), at + 2);
  body.set(dataBytes, at + 2 + textLength);
  wipe(text);
  lender.giveBack(dataBytes);
  return body;
}

/** The error that a caller gets. `codec` is undefined if the data is of another codec and can't be read. */
export function decodeErrorAnswer(body: Uint8Array, codec: Codec | undefined, method: string): RpcError {
  const codeEnd = 1 + (body[0] ?? 0);
  const textEnd = codeEnd + 2 + (((body[codeEnd] ?? 0) << 8) | (body[codeEnd + 1] ?? 0));
  if (textEnd > body.length)
    return receivedError("ERR_BAD_ANSWER", "the answer is malformed", undefined, method);
  const code = decodeText(viewOf(body, 1, codeEnd));
  const text = decodeText(viewOf(body, codeEnd + 2, textEnd));
  if (!isCode(code)) return receivedError("ERR_BAD_ANSWER", "the answer is malformed", undefined, method);
  let data: unknown;
  if (textEnd < body.length && codec !== undefined) {
    try {
      data = codec.decode(viewOf(body, textEnd, body.length));
    } catch {
      // The error matters more than its data.
    }
  }
  return receivedError(code, text, data, method);
}

/** The code of the error in a call's answer; undefined if the answer is no error, or no typed answer. */
export function codeOfAnswer(call: Call, body: Uint8Array): string | undefined {
  const head = headOfAnswer(call);
  if (head === null || !speaksTyped(head) || head.what !== What.error) return undefined;
  return decodeErrorAnswer(body, undefined, "").code;
}

/** The codes of the errors with which calls were answered. Made only if somebody asks for them. */
let answeredCodes: WeakMap<Message, string> | undefined;

/** From now on `codeAnswered` knows the errors that calls are answered with. */
export function noteErrorAnswers(): void {
  answeredCodes ??= new WeakMap();
}

/** A call ends with this error, whether or not its caller waits for an answer. */
export function answersWithError(message: Message, code: string): void {
  answeredCodes?.set(message, code);
}

/** The code of the error that `serve` answered this call with; undefined if it was none. */
export function codeAnswered(message: Message): string | undefined {
  return answeredCodes?.get(message);
}

/** Whether the head's method is what was called. A head about a stream names any, which nobody looks up. */
export function callsItsMethod(message: Message): boolean {
  const what = headOfMessage(message)?.what;
  return what === undefined || what === What.call || what === What.callWithOptions;
}
