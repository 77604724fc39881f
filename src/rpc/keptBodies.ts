// Keeps copies of the bodies of calls in flight, so that a call which one endpoint did not begin can move to another
// one. Their bytes are bounded: a call beyond the bound has no copy, and can't move.

import { copyOf } from "../core/bytes.ts";

/** What a copy costs beside its bytes: the array, its buffer, and the objects that settle the call. */
const COPY_OVERHEAD_BYTES = 256;

export class KeptBodies {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The bytes and overhead of all copies. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A copy that is kept until `forget`; undefined if the bound is reached. */
  copy(body: Uint8Array): Uint8Array | undefined {
    return this.#count(body) ? copyOf(body) : undefined;
  }

  /** Counts an existing copy. False: it can't be kept, and the caller has to wipe it. */
  adopt(copy: Uint8Array): boolean {
    return this.#count(copy);
  }

  /** Wipes it. */
  forget(copy: Uint8Array): void {
    copy.fill(0);
    this.#bytes -= copy.length + COPY_OVERHEAD_BYTES;
  }

  #count({ length }: Uint8Array): boolean {
    const cost = length + COPY_OVERHEAD_BYTES;
    if (this.#bytes + cost > this.#maxBytes) return false;
    this.#bytes += cost;
    return true;
  }
}
