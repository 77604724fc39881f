// Writes the answers of a server in one codec: values and errors.

import { isSealwireError, type SealwireError } from "../base/errors.ts";
import { wipe } from "../core/wipe.ts";
import type { PreparedHead } from "../protocol/preparedHead.ts";
import { IncomingMessage } from "../rpc/message.ts";
import type { Message } from "../rpc/peer.ts";
import {
  type BodyLender,
  type BodyReader,
  bodyLenderOf,
  bodyReaderOf,
  keepingEncoder,
} from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import { answersWithError, encodeErrorAnswer } from "./errorAnswer.ts";
import { Producer } from "./producer.ts";
import { type ErrorParts, ownError, partsOfError } from "./rpcError.ts";
import type { ScopeOwner, ServedScope } from "./servedScope.ts";
import type { ServedStreams } from "./servedStreams.ts";
import {
  decodeStreamPaths,
  encodeStreamPaths,
  MAX_VALUE_STREAMS,
  prepareTypedHead,
  type StreamPath,
  speaksTyped,
  type TypedHead,
  typedHead,
  What,
} from "./typedHead.ts";
import { findStreams, isStream, withoutStreams, withStream } from "./valueStreams.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);
/** A wrapper in place of a message may keep a body. */
const { reply: copyingReply } = IncomingMessage.prototype;

export class AnswerWriter {
  readonly codec: Codec;
  /** Two lenders: one for messages that copy their bodies, one for all others. */
  readonly #lender: BodyLender;
  readonly #keeping: BodyLender;
  readonly #read: BodyReader | undefined;
  readonly #exposeStacks: boolean;
  readonly #streams: ServedStreams;
  readonly #value: PreparedHead;
  readonly #idempotentValue: PreparedHead;
  readonly #error: PreparedHead;

  constructor(codec: Codec, exposeStacks: boolean, streams: ServedStreams) {
    this.codec = codec;
    this.#lender = bodyLenderOf(codec);
    this.#keeping = keepingEncoder(codec);
    this.#read = bodyReaderOf(codec);
    this.#exposeStacks = exposeStacks;
    this.#streams = streams;
    this.#value = prepareTypedHead(codec, What.value);
    this.#idempotentValue = prepareTypedHead(codec, What.idempotentValue);
    this.#error = prepareTypedHead(codec, What.error);
  }

  /** Whether calls with this head are in this codec. */
  reads(head: TypedHead): boolean {
    const { contentType, version } = this.codec;
    return speaksTyped(head) && head.contentType === contentType && head.codecVersion === version;
  }

  // ---- What came ----------------------------------------------------------------------------------------

  /**
   * The arguments of a call. Reads `owner` only if there are streams among them.
   *
   * @throws RpcError ERR_BAD_INPUT, ERR_NO_STREAM
   */
  readArguments(message: Message, head: TypedHead, owner: ScopeOwner): unknown[] {
    const args = this.#decodeOnce(message);
    if (!Array.isArray(args)) throw badBody("the body is no array of arguments");
    if (head.streams !== undefined) this.#insertStreams(message, head.streams, args, owner.scope);
    return args;
  }

  /** Wipes the body, unless other code got it before and may keep it. */
  #decodeOnce(message: Message): unknown {
    if (!(message instanceof IncomingMessage && message.isUnread)) return this.#decode(message.body);
    try {
      const { bytes, start, end } = message;
      return this.#read === undefined ? this.#decode(message.body) : this.#decode(bytes, start, end);
    } finally {
      message.wipeBody();
    }
  }

  #decode(bytes: Uint8Array, start = 0, end = bytes.length): unknown {
    if (start === end) return [];
    try {
      return this.#read === undefined ? this.codec.decode(bytes) : this.#read(bytes, start, end);
    } catch (error) {
      throw badBody(isSealwireError(error) ? error.message : "the arguments can't be read");
    }
  }

  #insertStreams(message: Message, bytes: Uint8Array, args: unknown[], scope: ServedScope): void {
    const streamPaths = decodeStreamPaths(bytes);
    if (streamPaths === undefined) throw badBody("the list of its streams is malformed");
    const { connection, signal } = message;
    signal.addEventListener("abort", () => scope.cancelled(signal.reason));
    // Takes all streams first, so that a call that fails here leaves none behind.
    const readers = streamPaths.map(({ number }) => this.#streams.take(connection, number, this.codec));
    for (const reader of readers) if (reader !== undefined) scope.addReader(reader);
    for (const [i, { number, path }] of streamPaths.entries()) {
      const reader = readers[i];
      if (reader === undefined)
        throw ownError("ERR_NO_STREAM", `the stream ${number} of an argument is not there`);
      if (path.length === 0 || withStream(args, path, reader) === undefined) {
        throw badBody("there is no place for one of its streams");
      }
    }
  }

  // ---- What is sent -------------------------------------------------------------------------------------

  /** Answers with a value that has no streams. Throws the errors of the codec and the connection. */
  value(message: Message, value: unknown, idempotent: boolean): void {
    const lender = message.reply === copyingReply ? this.#lender : this.#keeping;
    const body = value === undefined ? NO_BYTES : lender.encode(value);
    try {
      message.reply(body, idempotent ? this.#idempotentValue : this.#value);
    } finally {
      lender.giveBack(body);
    }
  }

  /** Answers with a value that may have streams. Reads `owner` only if it has some. */
  result(message: Message, value: unknown, idempotent: boolean, owner: ScopeOwner): void {
    if (isStream(value)) return this.#withStreams(message, value, idempotent, owner.scope);
    try {
      this.value(message, value, idempotent);
    } catch (error) {
      if (!isSealwireError(error) || error.code !== "ERR_ENCODE" || findStreams(value)?.length === 0)
        throw error;
      this.#withStreams(message, value, idempotent, owner.scope);
    }
  }

  #withStreams(message: Message, value: unknown, idempotent: boolean, scope: ServedScope): void {
    const found = findStreams(value);
    if (found === undefined)
      throw ownError("ERR_BAD_ANSWER", `a value has at most ${MAX_VALUE_STREAMS} streams`);
    const { connection } = message;
    const streamPaths: StreamPath[] = [];
    const producers = found.map(({ stream }) => new Producer(stream, this.codec));
    const lender = message.reply === copyingReply ? this.#lender : this.#keeping;
    let body = NO_BYTES;
    let sent = false;
    try {
      const bare = withoutStreams(value, found);
      body = bare === undefined ? NO_BYTES : lender.encode(bare);
      for (const [i, { path }] of found.entries()) {
        const number = this.#streams.offer(connection, producers[i]!, scope);
        scope.streamOffered();
        streamPaths.push({ number, path });
      }
      const what = idempotent ? What.idempotentValue : What.value;
      sent = message.reply(body, typedHead(this.codec, what, { streams: encodeStreamPaths(streamPaths) }));
    } finally {
      lender.giveBack(body);
      if (!sent) {
        for (const { number } of streamPaths) this.#streams.withdraw(connection, number);
        for (const producer of producers) void producer.leave();
      }
    }
  }

  /** Answers that this side does not serve the call. The server's application is not told. */
  refuse(message: Message, error: Error): void {
    const parts = partsOfError(error);
    if (parts !== undefined) this.sendError(message, parts);
  }

  /**
   * Answers with the part of a thrown error that the caller may see. An error that the caller must not see is thrown
   * again, so that the core reports it to `onHandlerError`.
   */
  error(message: Message, thrown: unknown, method: string): void {
    const parts = partsOfError(thrown);
    if (parts !== undefined) {
      this.sendError(message, parts);
      return;
    }
    if (message.expectsReply) this.sendError(message, this.#internal(thrown, method));
    throw thrown;
  }

  #internal(thrown: unknown, method: string): ErrorParts {
    const bad = isSealwireError(thrown) && badAnswers.has(thrown.code);
    const code = bad ? "ERR_BAD_ANSWER" : "ERR_INTERNAL";
    const message = bad ? `${method}: what it gave can't be sent` : `${method} failed`;
    return { code, message, data: this.#exposeStacks ? { stack: stackOf(thrown) } : undefined };
  }

  /** Answers with an error. If its data can't be sent, it answers without data and throws that error. */
  sendError(message: Message, parts: ErrorParts): void {
    answersWithError(message, parts.code);
    if (!message.expectsReply) return;
    try {
      this.#replyError(message, parts);
    } catch (error) {
      // The data can't be sent; the code and the text can.
      if (message.expectsReply) this.#replyError(message, { ...parts, data: undefined });
      throw error;
    }
  }

  #replyError(message: Message, parts: ErrorParts): void {
    const isCopied = message.reply === copyingReply;
    const body = encodeErrorAnswer(this.#lender, parts);
    try {
      message.reply(body, this.#error);
    } finally {
      if (isCopied) wipe(body);
    }
  }
}

/** Errors of a method's result, not of its work. */
const badAnswers: ReadonlySet<SealwireError["code"]> = new Set(["ERR_ENCODE", "ERR_MESSAGE_TOO_LARGE"]);
const MAX_STACK_LENGTH = 4_096;

function badBody(text: string): Error {
  return ownError("ERR_BAD_INPUT", text, { issues: [] });
}

function stackOf(thrown: unknown): string {
  try {
    const { stack } = Object(thrown) as { stack?: unknown };
    return (typeof stack === "string" ? stack : String(thrown)).slice(0, MAX_STACK_LENGTH);
  } catch {
    return "what was thrown can't be read";
  }
}
