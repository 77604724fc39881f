// Transposition of 16 × 16 bytes in two steps. At first each register holds one byte position of 16 blocks; at the end
// the blocks are whole. Time is constant.

/**
 * Four registers hold bytes 4c … 4c + 3 of 16 blocks. This joins them to the 32-bit word c of every block, and writes
 * four vectors, each with the words of four blocks, to `out`, 64 bytes apart.
 */
// @inline
export function interleaveColumn(r0: v128, r1: v128, r2: v128, r3: v128, out: usize): void {
  const lo02 = i8x16.shuffle(r0, r2, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const hi02 = i8x16.shuffle(r0, r2, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const lo13 = i8x16.shuffle(r1, r3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const hi13 = i8x16.shuffle(r1, r3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  v128.store(out, i8x16.shuffle(lo02, lo13, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  v128.store(
    out + 64,
    i8x16.shuffle(lo02, lo13, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
  );
  v128.store(out + 128, i8x16.shuffle(hi02, hi13, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  v128.store(
    out + 192,
    i8x16.shuffle(hi02, hi13, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
  );
}

/** Joins words 0 to 3 of four blocks (at `words`, 16 bytes apart) to the four blocks at `out`. */
// @inline
export function transposeWords(words: usize, out: usize): void {
  const w0 = v128.load(words);
  const w1 = v128.load(words + 16);
  const w2 = v128.load(words + 32);
  const w3 = v128.load(words + 48);
  const lo01 = i32x4.shuffle(w0, w1, 0, 4, 1, 5);
  const hi01 = i32x4.shuffle(w0, w1, 2, 6, 3, 7);
  const lo23 = i32x4.shuffle(w2, w3, 0, 4, 1, 5);
  const hi23 = i32x4.shuffle(w2, w3, 2, 6, 3, 7);
  v128.store(out, i64x2.shuffle(lo01, lo23, 0, 2));
  v128.store(out + 16, i64x2.shuffle(lo01, lo23, 1, 3));
  v128.store(out + 32, i64x2.shuffle(hi01, hi23, 0, 2));
  v128.store(out + 48, i64x2.shuffle(hi01, hi23, 1, 3));
}

/** interleaveColumn() as a call, for places where size matters more than speed. */
export function interleaveColumnCall(r0: v128, r1: v128, r2: v128, r3: v128, out: usize): void {
  interleaveColumn(r0, r1, r2, r3, out);
}

/** transposeWords() as a call, for places where size matters more than speed. */
export function transposeWordsCall(words: usize, out: usize): void {
  transposeWords(words, out);
}
