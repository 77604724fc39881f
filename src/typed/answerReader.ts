// Decodes an answer for its caller: to a value, or to an error that names the method.

import { isSealwireError, SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import type { BodyReader } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { decodeErrorAnswer } from "./errorAnswer.ts";
import { receivedError } from "./rpcError.ts";
import { speaksTyped, type TypedHead, What } from "./typedHead.ts";

/**
 * The value of an answer.
 *
 * @throws RpcError the error in the answer, ERR_BAD_ANSWER, ERR_CODEC
 */
export function readAnswer(codec: Codec, name: string, head: TypedHead | null, body: Uint8Array): unknown {
  requireValue(codec, name, head, body, 0, body.length);
  if (body.length === 0) return undefined;
  try {
    return codec.decode(body);
  } catch (error) {
    throw unreadable(error, name);
  }
}

/** The same for an answer in bytes [start, end), whose memory is reused afterwards, with the codec's own reader. */
export function readAnswerAt(
  codec: Codec,
  read: BodyReader,
  name: string,
  head: TypedHead | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): unknown {
  requireValue(codec, name, head, bytes, start, end);
  if (start === end) return undefined;
  try {
    return read(bytes, start, end);
  } catch (error) {
    throw unreadable(error, name);
  }
}

/** Throws unless bytes [start, end) are the body of a value that this codec reads. */
function requireValue(
  codec: Codec,
  name: string,
  head: TypedHead | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (head === null || !speaksTyped(head)) {
    throw receivedError(
      "ERR_BAD_ANSWER",
      "the peer does not answer as one that serves typed calls",
      undefined,
      name,
    );
  }
  const isSame = head.contentType === codec.contentType && head.codecVersion === codec.version;
  if (head.what === What.error) {
    throw decodeErrorAnswer(viewOf(bytes, start, end), isSame ? codec : undefined, name);
  }
  if (head.what !== What.value && head.what !== What.idempotentValue) {
    throw receivedError(
      "ERR_BAD_ANSWER",
      `the answer is about ${head.what}, which is not known here`,
      undefined,
      name,
    );
  }
  if (!isSame) {
    const text = `the answer came with content type ${head.contentType}, version ${head.codecVersion}`;
    throw receivedError("ERR_CODEC", text, undefined, name);
  }
}

function unreadable(error: unknown, name: string): Error {
  const text = isSealwireError(error) ? error.message : "the answer can't be read";
  return receivedError("ERR_BAD_ANSWER", text, undefined, name);
}

/** An error of the connection for the caller of a method: the same error, with the method's name in front. */
export function named(error: SealwireError, name: string): SealwireError;
export function named(error: unknown, name: string): unknown;
export function named(error: unknown, name: string): unknown {
  if (!isSealwireError(error)) return error;
  const { code, message, remoteCode, notBegun, data } = error;
  return new SealwireError(code, `${name}: ${message}`, { cause: error, remoteCode, notBegun, data });
}

/** Rejects with the error. */
export function failed(error: unknown, name: string): never {
  throw named(error, name);
}
