// A queue of byte strings and objects in one order. The strings lie packed in pages: many short ones cost little more
// than their bytes, and the garbage collector sees one page instead of an object for each. Work per item is constant in
// every runtime.

import { copyOf, viewOf } from "../core/bytes.ts";
import { LOOP_COPY_BYTES } from "../core/copy.ts";
import { Fifo } from "./fifo.ts";

const MIN_PAGE_BYTES = 1_024;
const MAX_PAGE_BYTES = 65_536;
/** A longer string gets a page of its own, which its taker may keep. */
const LONGEST_PACKED_BYTES = 4_096;
/**
 * In front of every string: its length and its mark, so that the string begins at a multiple of 8 and any typed array can
 * view it.
 */
const HEADER_BYTES = 8;
/** The second word of the header, for a string whose owner marked it. */
const MARKED = 1;
/** In place of a length: the entry is the next waiting object. */
const AN_OBJECT = 0xffffffff;

/** Entries [begin, end) that wait: header and string. With `alone`, one string without a header. */
class Page {
  readonly bytes: Uint8Array;
  readonly headers: Uint32Array;
  readonly alone: boolean;
  /** With `alone`: the mark of the string. */
  readonly isMarked: boolean;
  begin = 0;
  end: number;

  constructor(bytes: Uint8Array, end: number, alone: boolean, isMarked = false) {
    this.bytes = bytes;
    this.headers = alone ? NO_HEADERS : new Uint32Array(bytes.buffer);
    this.alone = alone;
    this.isMarked = isMarked;
    this.end = end;
  }
}

export class PackedQueue<Item extends object> {
  #pages = new Fifo<Page>();
  #last: Page | undefined;
  readonly #items = new Fifo<Item>();
  #nextPageBytes = MIN_PAGE_BYTES;
  #length = 0;

  /** The string that was taken last is `bytes` [start, end), until `done` is called. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** No other string is in its memory, so it may be kept. */
  alone = false;
  /** Its owner marked it. */
  isMarked = false;

  get length(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Appends a copy of [start, end). `isMarked` is told when it is taken. */
  push(bytes: Uint8Array, start: number, end: number, isMarked = false): void {
    const length = end - start;
    this.#length++;
    if (length > LONGEST_PACKED_BYTES) {
      this.#add(new Page(copyOf(bytes, start, end), length, true, isMarked));
      return;
    }
    const page = this.#pageFor(length);
    page.headers[page.end >>> 2] = length;
    page.headers[(page.end >>> 2) + 1] = isMarked ? MARKED : 0;
    const at = page.end + HEADER_BYTES;
    if (length > LOOP_COPY_BYTES)
      page.bytes.set(length === bytes.length ? bytes : viewOf(bytes, start, end), at);
    else for (let i = 0; i < length; i++) page.bytes[at + i] = bytes[start + i]!;
    page.end += entryBytes(length);
  }

  pushItem(item: Item): void {
    const page = this.#pageFor(0);
    page.headers[page.end >>> 2] = AN_OBJECT;
    page.end += HEADER_BYTES;
    this.#items.push(item);
    this.#length++;
  }

  /** The oldest entry, if it is an object. */
  get firstItem(): Item | undefined {
    return this.#firstLength() === AN_OBJECT ? this.#items.first : undefined;
  }

  /** The length of the oldest entry, if it is a string; 0 for an object. */
  get firstBytes(): number {
    const length = this.#firstLength();
    return length === AN_OBJECT ? 0 : length;
  }

  /** Removes the oldest entry. Undefined: it was a string, now [start, end). Only while the queue is not empty. */
  take(): Item | undefined {
    const page = this.#pages.first!;
    this.#length--;
    const length = this.#firstLength();
    const isItem = length === AN_OBJECT;
    if (!isItem) this.#show(page, page.alone ? 0 : page.begin + HEADER_BYTES, length);
    page.begin += isItem ? HEADER_BYTES : entryBytes(length);
    if (page.begin >= page.end) this.#removeFirst(page);
    return isItem ? this.#items.shift() : undefined;
  }

  /** The taken string is no longer used, and is wiped. If it was alone it may be kept, and is not wiped. */
  done(): void {
    if (this.alone) this.bytes = NOTHING;
    else this.wipe();
  }

  /** Nobody keeps the taken string, alone or not: it is wiped. */
  wipe(): void {
    this.bytes.fill(0, this.start, this.end);
    this.bytes = NOTHING;
  }

  /** Empties and wipes the queue; returns its objects in order. */
  clear(): Item[] {
    for (const page of this.#pages.takeAll()) page.bytes.fill(0);
    this.#last = undefined;
    this.#length = 0;
    this.#nextPageBytes = MIN_PAGE_BYTES;
    return this.#items.takeAll();
  }

  #firstLength(): number {
    const page = this.#pages.first;
    if (page === undefined) return 0;
    return page.alone ? page.end : page.headers[page.begin >>> 2]!;
  }

  #show({ bytes, alone, isMarked, headers, begin }: Page, start: number, length: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = start + length;
    this.alone = alone;
    this.isMarked = alone ? isMarked : headers[(begin >>> 2) + 1] === MARKED;
  }

  /** The last page, if it has room for a string of this length; otherwise a new one. */
  #pageFor(length: number): Page {
    const last = this.#last;
    if (last !== undefined && last.end + entryBytes(length) <= last.bytes.length) return last;
    const pageBytes = Math.max(this.#nextPageBytes, entryBytes(length));
    this.#nextPageBytes = Math.min(this.#nextPageBytes * 2, MAX_PAGE_BYTES);
    const page = new Page(new Uint8Array(pageBytes), 0, false);
    this.#add(page);
    return page;
  }

  #add(page: Page): void {
    this.#pages.push(page);
    this.#last = page.alone ? undefined : page;
  }

  #removeFirst(page: Page): void {
    this.#pages.shift();
    if (this.#last === page) this.#last = undefined;
    if (this.#pages.isEmpty) this.#nextPageBytes = MIN_PAGE_BYTES;
  }
}

function entryBytes(length: number): number {
  return (HEADER_BYTES + length + HEADER_BYTES - 1) & -HEADER_BYTES;
}

const NOTHING = new Uint8Array(0);
const NO_HEADERS = new Uint32Array(0);
