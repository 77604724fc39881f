// Arithmetic modulo p = 2^255 - 19 (RFC 7748 section 4.1) on elements in linear memory.
//
// An element is ten signed limbs of 26 and 25 bits in turn (value = sum of limb i * 2^ceil(25.5 i)), each
// stored as an i32: FE_BYTES = 48 bytes, the last 8 unused. Every element may be secret: no branch and no
// address depends on a limb.
//
// Bounds, with "carried" = |even limb| <= 1.01 * 2^25, |odd limb| <= 1.01 * 2^24: feMul and feFromBytes
// give carried results; feAdd and feSub add the bounds of their arguments; feMul takes up
// to 4 times carried (the sums stay below 2^63). Results may overwrite arguments.
//
// The multiplications are unrolled (10 x 10 limb products, as in ref10), because only locals keep the limbs in
// registers. They are called and not inlined, because Bun spills twice as much in one large function.

export const FE_BYTES: usize = 48;

const HALF_26: i64 = 1 << 25;
const HALF_25: i64 = 1 << 24;

/** h = small non-negative integer. */
export function feSmall(h: usize, value: i32): void {
  v128.store(h, i32x4.replace_lane(i64x2.splat(0), 0, value));
  v128.store(h, i64x2.splat(0), 16);
  v128.store(h, i64x2.splat(0), 32);
}

// @inline
export function feCopy(h: usize, f: usize): void {
  v128.store(h, v128.load(f));
  v128.store(h, v128.load(f, 16), 16);
  v128.store(h, v128.load(f, 32), 32);
}

/** h = f + g, not carried. */
export function feAdd(h: usize, f: usize, g: usize): void {
  i32.store(h, i32.load(f, 0) + i32.load(g, 0), 0);
  i32.store(h, i32.load(f, 4) + i32.load(g, 4), 4);
  i32.store(h, i32.load(f, 8) + i32.load(g, 8), 8);
  i32.store(h, i32.load(f, 12) + i32.load(g, 12), 12);
  i32.store(h, i32.load(f, 16) + i32.load(g, 16), 16);
  i32.store(h, i32.load(f, 20) + i32.load(g, 20), 20);
  i32.store(h, i32.load(f, 24) + i32.load(g, 24), 24);
  i32.store(h, i32.load(f, 28) + i32.load(g, 28), 28);
  i32.store(h, i32.load(f, 32) + i32.load(g, 32), 32);
  i32.store(h, i32.load(f, 36) + i32.load(g, 36), 36);
}

/** h = f - g, not carried. */
export function feSub(h: usize, f: usize, g: usize): void {
  i32.store(h, i32.load(f, 0) - i32.load(g, 0), 0);
  i32.store(h, i32.load(f, 4) - i32.load(g, 4), 4);
  i32.store(h, i32.load(f, 8) - i32.load(g, 8), 8);
  i32.store(h, i32.load(f, 12) - i32.load(g, 12), 12);
  i32.store(h, i32.load(f, 16) - i32.load(g, 16), 16);
  i32.store(h, i32.load(f, 20) - i32.load(g, 20), 20);
  i32.store(h, i32.load(f, 24) - i32.load(g, 24), 24);
  i32.store(h, i32.load(f, 28) - i32.load(g, 28), 28);
  i32.store(h, i32.load(f, 32) - i32.load(g, 32), 32);
  i32.store(h, i32.load(f, 36) - i32.load(g, 36), 36);
}

/** h = f * g, carried. */
export function feMul(h: usize, f: usize, g: usize): void {
  const f0 = i64.load32_s(f);
  const f1 = i64.load32_s(f, 4);
  const f2 = i64.load32_s(f, 8);
  const f3 = i64.load32_s(f, 12);
  const f4 = i64.load32_s(f, 16);
  const f5 = i64.load32_s(f, 20);
  const f6 = i64.load32_s(f, 24);
  const f7 = i64.load32_s(f, 28);
  const f8 = i64.load32_s(f, 32);
  const f9 = i64.load32_s(f, 36);
  const g0 = i64.load32_s(g);
  const g1 = i64.load32_s(g, 4);
  const g2 = i64.load32_s(g, 8);
  const g3 = i64.load32_s(g, 12);
  const g4 = i64.load32_s(g, 16);
  const g5 = i64.load32_s(g, 20);
  const g6 = i64.load32_s(g, 24);
  const g7 = i64.load32_s(g, 28);
  const g8 = i64.load32_s(g, 32);
  const g9 = i64.load32_s(g, 36);
  const f1_2 = f1 * 2;
  const f3_2 = f3 * 2;
  const f5_2 = f5 * 2;
  const f7_2 = f7 * 2;
  const f9_2 = f9 * 2;
  const g1_19 = g1 * 19;
  const g2_19 = g2 * 19;
  const g3_19 = g3 * 19;
  const g4_19 = g4 * 19;
  const g5_19 = g5 * 19;
  const g6_19 = g6 * 19;
  const g7_19 = g7 * 19;
  const g8_19 = g8 * 19;
  const g9_19 = g9 * 19;
  let h0: i64 =
    f0 * g0 +
    f1_2 * g9_19 +
    f2 * g8_19 +
    f3_2 * g7_19 +
    f4 * g6_19 +
    f5_2 * g5_19 +
    f6 * g4_19 +
    f7_2 * g3_19 +
    f8 * g2_19 +
    f9_2 * g1_19;
  let h1: i64 =
    f0 * g1 +
    f1 * g0 +
    f2 * g9_19 +
    f3 * g8_19 +
    f4 * g7_19 +
    f5 * g6_19 +
    f6 * g5_19 +
    f7 * g4_19 +
    f8 * g3_19 +
    f9 * g2_19;
  let h2: i64 =
    f0 * g2 +
    f1_2 * g1 +
    f2 * g0 +
    f3_2 * g9_19 +
    f4 * g8_19 +
    f5_2 * g7_19 +
    f6 * g6_19 +
    f7_2 * g5_19 +
    f8 * g4_19 +
    f9_2 * g3_19;
  let h3: i64 =
    f0 * g3 +
    f1 * g2 +
    f2 * g1 +
    f3 * g0 +
    f4 * g9_19 +
    f5 * g8_19 +
    f6 * g7_19 +
    f7 * g6_19 +
    f8 * g5_19 +
    f9 * g4_19;
  let h4: i64 =
    f0 * g4 +
    f1_2 * g3 +
    f2 * g2 +
    f3_2 * g1 +
    f4 * g0 +
    f5_2 * g9_19 +
    f6 * g8_19 +
    f7_2 * g7_19 +
    f8 * g6_19 +
    f9_2 * g5_19;
  let h5: i64 =
    f0 * g5 +
    f1 * g4 +
    f2 * g3 +
    f3 * g2 +
    f4 * g1 +
    f5 * g0 +
    f6 * g9_19 +
    f7 * g8_19 +
    f8 * g7_19 +
    f9 * g6_19;
  let h6: i64 =
    f0 * g6 +
    f1_2 * g5 +
    f2 * g4 +
    f3_2 * g3 +
    f4 * g2 +
    f5_2 * g1 +
    f6 * g0 +
    f7_2 * g9_19 +
    f8 * g8_19 +
    f9_2 * g7_19;
  let h7: i64 =
    f0 * g7 + f1 * g6 + f2 * g5 + f3 * g4 + f4 * g3 + f5 * g2 + f6 * g1 + f7 * g0 + f8 * g9_19 + f9 * g8_19;
  let h8: i64 =
    f0 * g8 +
    f1_2 * g7 +
    f2 * g6 +
    f3_2 * g5 +
    f4 * g4 +
    f5_2 * g3 +
    f6 * g2 +
    f7_2 * g1 +
    f8 * g0 +
    f9_2 * g9_19;
  let h9: i64 =
    f0 * g9 + f1 * g8 + f2 * g7 + f3 * g6 + f4 * g5 + f5 * g4 + f6 * g3 + f7 * g2 + f8 * g1 + f9 * g0;

  let c: i64 = (h0 + HALF_26) >> 26;
  h1 += c;
  h0 -= c << 26;
  c = (h4 + HALF_26) >> 26;
  h5 += c;
  h4 -= c << 26;
  c = (h1 + HALF_25) >> 25;
  h2 += c;
  h1 -= c << 25;
  c = (h5 + HALF_25) >> 25;
  h6 += c;
  h5 -= c << 25;
  c = (h2 + HALF_26) >> 26;
  h3 += c;
  h2 -= c << 26;
  c = (h6 + HALF_26) >> 26;
  h7 += c;
  h6 -= c << 26;
  c = (h3 + HALF_25) >> 25;
  h4 += c;
  h3 -= c << 25;
  c = (h7 + HALF_25) >> 25;
  h8 += c;
  h7 -= c << 25;
  c = (h4 + HALF_26) >> 26;
  h5 += c;
  h4 -= c << 26;
  c = (h8 + HALF_26) >> 26;
  h9 += c;
  h8 -= c << 26;
  c = (h9 + HALF_25) >> 25;
  h0 += c * 19;
  h9 -= c << 25;
  c = (h0 + HALF_26) >> 26;
  h1 += c;
  h0 -= c << 26;
  i64.store32(h, h0);
  i64.store32(h, h1, 4);
  i64.store32(h, h2, 8);
  i64.store32(h, h3, 12);
  i64.store32(h, h4, 16);
  i64.store32(h, h5, 20);
  i64.store32(h, h6, 24);
  i64.store32(h, h7, 28);
  i64.store32(h, h8, 32);
  i64.store32(h, h9, 36);
}

/**
 * h = the 32 little-endian bytes at s without the top bit, which RFC 7748 section 5 masks in u-coordinates. The number
 * may be p or above.
 */
export function feFromBytes(h: usize, s: usize): void {
  let carry: i64 = 0;
  // The limbs are unsigned at first. Balancing them makes them carried, as the bounds above ask.
  let bit = 0;
  for (let i = 0; i < 10; i++) {
    const width = 26 - (i & 1);
    const byte = min(bit >> 3, 24); // an 8-byte load that stays inside the 32
    const word = load<u64>(s + byte) >> (bit - 8 * byte);
    const limb = <i64>(word & (((<u64>1) << width) - 1)) + carry;
    carry = (limb + ((<i64>1) << (width - 1))) >> width;
    store<i32>(h + 4 * i, <i32>(limb - (carry << width)));
    bit += width;
  }
  store<i32>(h, load<i32>(h) + 19 * <i32>carry);
}

/** Writes the 32 little-endian bytes of f modulo p, fully reduced, to s. f may be up to twice carried. */
export function feToBytes(s: usize, f: usize): void {
  // q = floor(f / p), computed from the rounded top limb upwards (ref10's fe_tobytes).
  let q: i64 = (19 * i64.load32_s(f, 36) + ((<i64>1) << 24)) >> 25;
  for (let i = 0; i < 10; i++) q = (load<i32>(f + 4 * i) + q) >> (26 - (i & 1));
  // f - q p = f + 19 q - 2^255 q: carries go up from the bottom, and the carry out of the top is dropped.
  let carry: i64 = 19 * q;
  let word: u64 = 0;
  let filled = 0;
  let out = s;
  for (let i = 0; i < 10; i++) {
    const width = 26 - (i & 1);
    const limb: i64 = load<i32>(f + 4 * i) + carry;
    carry = limb >> width;
    word |= (<u64>(limb - (carry << width))) << filled;
    filled += width;
    while (filled >= 8) {
      store<u8>(out++, <u8>word);
      word >>= 8;
      filled -= 8;
    }
  }
  store<u8>(out, <u8>word);
}
