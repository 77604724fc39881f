// One method on its caller's side: its name, the heads of its calls, and what its server has announced about it.

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

/** How a call that has no options of its own is made. */
interface PlainCall {
  readonly head: PreparedHead;
  readonly streams: false;
}

export class RemoteTarget {
  readonly name: string;
  readonly #codec: Codec;
  #plainCall: PlainCall | undefined = undefined;
  #headWithOptions: PreparedHead | undefined = undefined;
  /** What reads the answers of its calls where they lie; undefined where the codec is not this package's own. */
  readonly reader: AnswerReader | undefined;
  /** Its server said that it may be called again when nobody knows whether it ran. */
  isIdempotent = false;

  constructor(codec: Codec, name: string) {
    this.#codec = codec;
    this.name = name;
    const read = bodyReaderOf(codec);
    this.reader = read === undefined ? undefined : new TargetReader(this, codec, read);
  }

  /** Made at the first call, and the same for all that have no options. */
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
    if (head!.what === What.idempotentValue) this.#target.isIdempotent = true;
    const { streams } = head!;
    if (streams === undefined) return value;
    // Calls are made with it, which is nothing to do while records are handled.
    return Promise.resolve().then(() =>
      openStreams(this.#codec, name, call, streams, value, undefined, undefined),
    );
  }

  failed(error: SealwireError): SealwireError {
    return named(error, this.#target.name);
  }
}

/** A plain object with one of the options at least, and nothing else. */
export function looksLikeOptions(value: unknown): value is RemoteOptions {
  if (typeof value !== "object" || value === null) return false;
  try {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return false;
    const keys = Reflect.ownKeys(value);
    return keys.length > 0 && keys.every((key) => remoteOptionNames.includes(key as string));
  } catch {
    // A proxy that can't be asked is an argument, and the codec says what is wrong with it.
    return false;
  }
}
