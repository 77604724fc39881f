// The numbers of one side's requests, which ascend until they wrap around at 2^32. Nothing is kept of each: the last one
// tells which others there were.

export class RequestNumbers {
  /** 0: there was none. */
  #last = 0;
  /** They began again: any number may have been a request's, a long time ago. */
  #hasWrapped = false;

  add(sequence: number): void {
    if (sequence < this.#last) this.#hasWrapped = true;
    this.#last = sequence;
  }

  /** This number, which is of the side's parity, may have been a request's. */
  has(sequence: number): boolean {
    return this.#last > 0 && (this.#hasWrapped || sequence <= this.#last);
  }
}
