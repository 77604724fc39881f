// Helpers on bytes and vectors that several primitives use. Their time depends on lengths only, never on contents.

/** Table look-up by 16 indexes. An index of 0x80 or more gives 0; one of 16 to 127 must not occur. */
// @inline
export function lookup(table: v128, index: v128): v128 {
  // The relaxed form is one pshufb; V8 puts a saturating addition before the other form.
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, index);
  return i8x16.swizzle(table, index);
}

/** 16 × 0x0f, loaded from memory, because V8 builds a v128 constant again at each use. */
const LOW_NIBBLES: usize = memory.data<u8>(
  [15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15],
  16,
);

// @inline
export function nibbleMask(): v128 {
  return v128.load(LOW_NIBBLES);
}

/** The high nibble of every byte; `mask` is nibbleMask(). */
// @inline
export function highNibbles(x: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(x, 4), mask);
}

/** 16 bytes of 0xff, then 16 of 0. */
// biome-ignore format: one row per vector of 16 bytes
const TAIL_MASKS: usize = memory.data<u8>(
  [
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ],
  16,
);

/** 0xff in the first `length` bytes (0 to 16), 0 in the others. */
// @inline
export function tailMask(length: usize): v128 {
  return v128.load(TAIL_MASKS + 16 - length);
}

const REVERSE_16: usize = memory.data<u8>([15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 16);
const REVERSE_4: usize = memory.data<u8>([3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12], 16);

/** All 16 bytes in reverse order. This converts a big-endian number of 128 bits to two u64 lanes, and back. */
// @inline
export function reverse16(x: v128): v128 {
  return lookup(x, v128.load(REVERSE_16));
}

/** The bytes of each 32-bit word in reverse order. This converts four big-endian words to lanes, and back. */
// @inline
export function reverse4(x: v128): v128 {
  return lookup(x, v128.load(REVERSE_4));
}

/** Overwrites [ptr, end) with zeros. `end - ptr` is a multiple of 16, or any number above 512. */
export function wipe(ptr: usize, end: usize): void {
  if (end - ptr > 512) {
    memory.fill(ptr, 0, end - ptr);
    return;
  }
  const zero = i64x2.splat(0);
  for (; ptr < end; ptr += 16) v128.store(ptr, zero);
}
