// One method on its caller's side: its name, the heads of its calls, and what its server has announced about it.

import type { PreparedHead } from "../protocol/preparedHead.ts";
import type { Codec } from "./codec/codec.ts";
import type { RemoteOptions } from "./remote.ts";
import { prepareTypedHead, What } from "./typedHead.ts";

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
  /** Its server said that it may be called again when nobody knows whether it ran. */
  isIdempotent = false;

  constructor(codec: Codec, name: string) {
    this.#codec = codec;
    this.name = name;
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

/** A plain object with one of the options at least, and nothing else. */
export function looksLikeOptions(value: unknown): value is RemoteOptions {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const keys = Reflect.ownKeys(value);
  return keys.length > 0 && keys.every((key) => remoteOptionNames.includes(key as string));
}
