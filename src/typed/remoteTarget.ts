// One method on its caller's side: its name, the heads of its calls, and the announcements of its server.

import type { SealwireError } from "../base/errors.ts";
import type { PreparedHead } from "../protocol/preparedHead.ts";
import type { AnswerReader, PendingCall } from "../rpc/call.ts";
import { named, readAnswerAt } from "./answerReader.ts";
import { type BodyReader, bodyReaderOf } from "./codec/bodyLender.ts";
import type { Codec } from "./codec/codec.ts";
import type { RemoteOptions } from "./remote.ts";
import { openStreams } from "./streamingCall.ts";
import { headOfAnswer, prepareTypedHead, What } from "./typedHead.ts";

/** Options of one call. */
export const remoteOptionNames = ["timeoutMs", "signal", "traceParent"];

/** A call without options of its own. */
interface PlainCall {
  readonly head: PreparedHead;
  readonly streams: false;
}

export class RemoteTarget {
  readonly name: string;
  readonly #codec: Codec;
  #plainCall: PlainCall | undefined = undefined;
  #headWithOptions: PreparedHead | undefined = undefined;
  /** Reads the answers of its calls in place; undefined if the codec is not this package's own. */
  readonly reader: AnswerReader | undefined;
  /** The server that answered last said that the method may run again even if nobody knows whether it ran. */
  isIdempotent = false;

  constructor(codec: Codec, name: string) {
    this.#codec = codec;
    this.name = name;
    const read = bodyReaderOf(codec);
    this.reader = read === undefined ? undefined : new TargetReader(this, codec, read);
  }

  /** Made at the first call; all calls without options share it. */
  get plainCall(): PlainCall {
    this.#plainCall ??= { head: prepareTypedHead(this.#codec, What.call, this.name), streams: false };
    return this.#plainCall;
  }

  headFor(what: number): PreparedHead {
    if (what === What.call) return this.plainCall.head;
    this.#headWithOptions ??= prepareTypedHead(this.#codec, What.callWithOptions, this.name);
    return this.#headWithOptions;
  }
}

class TargetReader implements AnswerReader {
  readonly #target: RemoteTarget;
  readonly #codec: Codec;
  readonly #read: BodyReader;

  constructor(target: RemoteTarget, codec: Codec, read: BodyReader) {
    this.#target = target;
    this.#codec = codec;
    this.#read = read;
  }

  read(call: PendingCall, bytes: Uint8Array, start: number, end: number): unknown {
    const { name } = this.#target;
    const head = headOfAnswer(call);
    const value = readAnswerAt(this.#codec, this.#read, name, head, bytes, start, end);
    this.#target.isIdempotent = head!.what === What.idempotentValue;
    const { streams } = head!;
    return streams === undefined ? value : this.#openSoon(call, streams, value);
  }

  /** Deferred, because calls are made with the result, and no call may be made while records are handled. */
  async #openSoon(call: PendingCall, streams: Uint8Array, value: unknown): Promise<unknown> {
    await undefined;
    return openStreams(this.#codec, this.#target.name, call, streams, value, undefined, undefined);
  }

  failed(error: SealwireError): SealwireError {
    return named(error, this.#target.name);
  }
}

/** Whether a value is a plain object with at least one of the options and nothing else. */
export function looksLikeOptions(value: unknown): value is RemoteOptions {
  if (typeof value !== "object" || value === null) return false;
  try {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return false;
    const keys = Reflect.ownKeys(value);
    return keys.length > 0 && keys.every((key) => remoteOptionNames.includes(key as string));
  } catch {
    // A proxy that throws is an argument; the codec reports its error.
    return false;
  }
}
