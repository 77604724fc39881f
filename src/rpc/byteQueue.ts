// A queue of bytes that arrive in pieces of one size and are taken in pieces of another. What appending costs depends
// on the appended bytes alone, however many wait.

const FIRST_CAPACITY = 256;

export class ByteQueue {
  #bytes = new Uint8Array(0);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The first `count` bytes, or fewer if there are fewer, as a view that is valid until the next `append`. */
  take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#start, this.#start + count);
    this.#start += count;
    return taken;
  }

  clear(): void {
    this.#bytes = new Uint8Array(0);
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(more: number): void {
    const { length } = this;
    const grown = new Uint8Array(Math.max(FIRST_CAPACITY, 2 * (length + more)));
    grown.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = grown;
    this.#start = 0;
    this.#end = length;
  }
}
