// Polynomials of ML-KEM to bytes and back (FIPS 203 sections 4.2.1 and 4.2.2): ByteEncode_d, ByteDecode_d,
// Compress_d, Decompress_d and the two samplers.
//
// Secret: s-hat (d = 12), the message (d = 1), noise. No branch, address or division depends on a coefficient, except
// in sampleNtt, whose input is public.
//
// The decoders read up to 6 bytes beyond their input, and the encoders write up to 6 bytes beyond their output. Callers
// write the next part after the encoder has run, or leave room.

import { lookup } from "./bytes";
import { canonical, mulQ15, POLYNOMIAL_BYTES, Q } from "./ntt3329";

/** Bytes of one polynomial for d = 12, 10, 4. */
export const ENCODED_12: usize = 384;
export const ENCODED_10: usize = 320;
export const ENCODED_4: usize = 128;

/** Byte masks: PACK joins the used bytes of lanes; UNPACK brings the bytes of each coefficient into a 16-bit lane. */
const PACK_12: usize = memory.data<u8>([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255], 16);
const UNPACK_12: usize = memory.data<u8>([0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11], 16);
const PACK_10: usize = memory.data<u8>([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 255, 255, 255, 255, 255, 255], 16);
const UNPACK_10: usize = memory.data<u8>([0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9], 16);

/** ByteEncode_12 of f; |f| < q. */
export function encode12(out: usize, f: usize): void {
  const pack = v128.load(PACK_12);
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const pairs = i32x4.dot_i16x8_s(canonical(v128.load(f + i)), i32x4.splat(0x10000001));
    v128.store(out, lookup(pairs, pack));
    out += 12;
  }
}

/** ByteDecode_12 without the reduction: f is from 0 to 4095. Returns 1 if all coefficients are below q, else 0. */
export function decode12(f: usize, from: usize): i32 {
  const unpack = v128.load(UNPACK_12);
  let tooLarge = i64x2.splat(0);
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const words = i16x8.mul(lookup(v128.load(from), unpack), i32x4.splat(0x00010010));
    const v = i16x8.shr_u(words, 4);
    tooLarge = v128.or(tooLarge, i16x8.ge_s(v, i16x8.splat(<i16>Q)));
    v128.store(f + i, v);
    from += 12;
  }
  return i32(!v128.any_true(tooLarge));
}

/**
 * Compress_d: round(2^d x / q) modulo 2^d, for any |x| ≤ 2187 (the sign does not matter modulo q). `quotient` is
 * round(2^d 2^15 / q). The result that it gives is right or off by one, and the remainder tells which.
 */
// @inline
function compress(x: v128, d: i32, quotient: i16): v128 {
  const t = mulQ15(x, i16x8.splat(quotient));
  const remainder = i16x8.sub(i16x8.shl(x, d), i16x8.mul(t, i16x8.splat(<i16>Q)));
  const up = i16x8.gt_s(remainder, i16x8.splat(<i16>(Q / 2)));
  const down = i16x8.lt_s(remainder, i16x8.splat(<i16>(-Q / 2)));
  const mask: i32 = (1 << d) - 1;
  return v128.and(i16x8.add(i16x8.sub(t, up), down), i16x8.splat(<i16>mask));
}

/** Decompress_d: round(q y / 2^d). */
// @inline
function decompress(y: v128, d: i32): v128 {
  return mulQ15(i16x8.shl(y, 15 - d), i16x8.splat(<i16>Q));
}

/** ByteEncode_10 of Compress_10. */
export function compress10(out: usize, f: usize): void {
  const pack = v128.load(PACK_10);
  const low = i64x2.splat(0xffffffff);
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const pairs = i32x4.dot_i16x8_s(compress(v128.load(f + i), 10, 10079), i32x4.splat(0x04000001));
    const fours = v128.or(v128.and(pairs, low), i64x2.shl(i64x2.shr_u(pairs, 32), 20));
    v128.store(out, lookup(fours, pack));
    out += 10;
  }
}

/** Decompress_10 of ByteDecode_10. */
export function decompress10(f: usize, from: usize): void {
  const unpack = v128.load(UNPACK_10);
  const top = i64x2.splat(0x0001000400100040);
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const y = i16x8.shr_u(i16x8.mul(lookup(v128.load(from), unpack), top), 6);
    v128.store(f + i, decompress(y, 10));
    from += 10;
  }
}

/** ByteEncode_4 of Compress_4. */
export function compress4(out: usize, f: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 32) {
    const y = i8x16.narrow_i16x8_u(
      compress(v128.load(f + i), 4, 157),
      compress(v128.load(f + i, 16), 4, 157),
    );
    const bytes = v128.and(v128.or(y, i16x8.shr_u(y, 4)), i16x8.splat(0xff));
    v128.store64_lane(out, i8x16.narrow_i16x8_u(bytes, bytes), 0);
    out += 8;
  }
}

/** Decompress_4 of ByteDecode_4. */
export function decompress4(f: usize, from: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 32) {
    const bytes = v128.load8x8_u(from);
    const y = v128.or(v128.and(bytes, i16x8.splat(15)), i16x8.shl(i16x8.shr_u(bytes, 4), 8));
    v128.store(f + i, decompress(i16x8.extend_low_i8x16_u(y), 4));
    v128.store(f + i, decompress(i16x8.extend_high_i8x16_u(y), 4), 16);
    from += 8;
  }
}

/** ByteEncode_1 of Compress_1: the 32 bytes of a message. */
export function compress1(out: usize, f: usize): void {
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    store<u8>(out++, <u8>i16x8.bitmask(i16x8.shl(compress(v128.load(f + i), 1, 20), 15)));
  }
}

/** Decompress_1 of ByteDecode_1. */
export function decompress1(f: usize, from: usize): void {
  const bits = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
  const half = i16x8.splat(<i16>((Q + 1) / 2));
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 16) {
    const byte = i16x8.splat(load<u8>(from++));
    v128.store(f + i, v128.and(i16x8.eq(v128.and(byte, bits), bits), half));
  }
}

/** SamplePolyCBD_2 (algorithm 8) from 128 bytes: |f| ≤ 2. */
export function sampleCbd2(f: usize, from: usize): void {
  const evenBits = i8x16.splat(0x55);
  const two = i8x16.splat(3);
  for (let i: usize = 0; i < POLYNOMIAL_BYTES; i += 64) {
    const bytes = v128.load(from);
    from += 16;
    // Sums of two bits each: x, y, x, y from the low end.
    const sums = i8x16.add(v128.and(bytes, evenBits), v128.and(i16x8.shr_u(bytes, 1), evenBits));
    const even = i8x16.sub(v128.and(sums, two), v128.and(i16x8.shr_u(sums, 2), two));
    const odd = i8x16.sub(v128.and(i16x8.shr_u(sums, 4), two), v128.and(i16x8.shr_u(sums, 6), two));
    const low = i8x16.shuffle(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const high = i8x16.shuffle(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    v128.store(f + i, i16x8.extend_low_i8x16_s(low));
    v128.store(f + i, i16x8.extend_high_i8x16_s(low), 16);
    v128.store(f + i, i16x8.extend_low_i8x16_s(high), 32);
    v128.store(f + i, i16x8.extend_high_i8x16_s(high), 48);
  }
}

/**
 * A part of SampleNTT (algorithm 7): appends those of the 112 numbers in a 168-byte block that are below q to the
 * coefficients f, which are `count` so far. Returns the new count, at most 256. May write one coefficient beyond f.
 */
export function sampleNtt(f: usize, count: i32, block: usize): i32 {
  for (let end = block + 168; block < end && count < 256; block += 3) {
    const bits = load<u32>(block);
    const d1 = bits & 0xfff;
    const d2 = (bits >> 12) & 0xfff;
    store<u16>(f + ((<usize>count) << 1), <u16>d1);
    count += i32(d1 < <u32>Q);
    store<u16>(f + ((<usize>count) << 1), <u16>d2);
    count += i32(d2 < <u32>Q);
  }
  return min(count, 256);
}
