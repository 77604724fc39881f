// A view of linear memory that is kept, because the next one is often of the same bytes: messages of one length that come
// one at a time lie at the same addresses. A view costs 20 to 40 ns and work of the collector.

import { memory } from "./wasmModule.ts";

export class LastView {
  #start = 0;
  #end = 0;
  #view: Uint8Array = memory.subarray(0, 0);

  /** Bytes [start, end) of linear memory. The same bytes give the same view, until other bytes are asked for. */
  of(start: number, end: number): Uint8Array {
    if (start !== this.#start || end !== this.#end) {
      this.#view = memory.subarray(start, end);
      this.#start = start;
      this.#end = end;
    }
    return this.#view;
  }
}
