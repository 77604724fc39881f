// Searches for many byte strings at once, and checks whether they were wiped.

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** Bytes to be searched, many times. As text, one character a byte: Deno compares buffers with a loop in JavaScript. */
export class SearchedBytes {
  readonly #text: string;

  constructor(bytes: Uint8Array) {
    this.#text = latin1(bytes);
  }

  /** Where these bytes stand first; -1 if nowhere. */
  indexOf(part: Uint8Array): number {
    return this.#text.indexOf(latin1(part));
  }
}

/** Whether all of these are zero; without a call per byte. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(Buffer.alloc(bytes.length));
}
