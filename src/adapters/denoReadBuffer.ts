// This file chooses the buffers that Deno sockets read into. Deno holds a buffer for every waiting read, so a quiet
// connection waits with a short one. A read that fills its buffer shows that more is to come: the next reads take a
// long buffer from a stock that all connections share, and give it back when one of them comes up short. When the stock
// is empty, a connection makes a medium buffer of its own, once.
//
// A connection that is over leaves its short buffer to the next one: sockets that come and go by the thousand would
// otherwise make V8's collector copy and free one for each.

const SHORT_BYTES = 2_048;
const MEDIUM_BYTES = 16_384;
const LONG_BYTES = 65_536;
const STOCK = 64;
/** The most short buffers that wait for the next connections. */
const SPARE = 256;
const NO_BYTES: Uint8Array = new Uint8Array(0);

const spare: Uint8Array[] = [];
const stock: Uint8Array[] = [];
let made = 0;

/** A long buffer, or undefined when all are in use. */
function takeFromStock(): Uint8Array | undefined {
  const buffer = stock.pop();
  if (buffer !== undefined || stockIsEmpty()) return buffer;
  made++;
  return new Uint8Array(LONG_BYTES);
}

/** All long buffers are in use: a connection with short reads gives its buffer back. */
function stockIsEmpty(): boolean {
  return stock.length === 0 && made === STOCK;
}

export class ReadBuffer {
  #short = spare.pop() ?? new Uint8Array(SHORT_BYTES);
  #medium: Uint8Array | undefined;
  #long: Uint8Array | undefined;
  /** The buffer of the next read: one of the three. */
  bytes: Uint8Array = this.#short;

  /** A read put `length` bytes into it: chooses the buffer of the next read. */
  filled(length: number): void {
    const canDoWithout = this.#long !== undefined && length < LONG_BYTES && stockIsEmpty();
    if (length < SHORT_BYTES || canDoWithout) {
      this.giveBack();
    } else if (this.#long === undefined && length === this.bytes.length) {
      this.#long = takeFromStock();
      if (this.#long === undefined) this.#medium ??= new Uint8Array(MEDIUM_BYTES);
      this.bytes = this.#long ?? (this.#medium as Uint8Array);
    }
  }

  /** Gives a long buffer back to the stock. No read may be waiting. */
  giveBack(): void {
    if (this.#long !== undefined) stock.push(this.#long);
    this.#long = undefined;
    this.bytes = this.#short;
  }

  /** The connection is over: gives back all that others can use. No read may be waiting, and none follows. */
  end(): void {
    this.giveBack();
    if (this.#short !== NO_BYTES && spare.length < SPARE) spare.push(this.#short);
    this.#short = NO_BYTES;
    this.bytes = NO_BYTES;
  }
}
