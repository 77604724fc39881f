// GHASH of many blocks, SP 800-38D section 6.4: four chains by H^4, with Karatsuba on 32-bit limbs.
//
// Secret: powers of H and every computed value. Bit and byte order are those of ghashNibbles.ts. The tables are at
// entry + KEY_KARATSUBA and are built at first use.
//
// Four blocks make a quad. After transposition, W_l holds limb l (bytes 4l … 4l + 3) of the quad's four blocks. The
// lanes are four chains that are all multiplied by the same power of H^4. With limbs a_0 … a_3 and h_0 … h_3, two
// levels of Karatsuba take 9 products of limbs instead of 16:
//   a0 h0   a1 h1   (a0+a1)(h0+h1)   a2 h2   a3 h3   (a2+a3)(h2+h3)
//   (a0+a2)(h0+h2)   (a1+a3)(h1+h3)   (a0+a1+a2+a3)(h0+h1+h2+h3)
// A product of a limb and a constant takes 5 look-ups per nibble class: T_k[n] = byte k of n·h, n a high nibble.
// A quad takes 90 look-ups. Up to KARATSUBA_POWERS quads are summed before anything is shifted, recombined or
// reduced, and one reduction serves four chains.
//
// Tables: per power 9 × 5 × 16 = 720 bytes, (H^4)^1 first.

import { highNibbles, lookup, nibbleMask, reverse4, wipe } from "./bytes";
import { multiplyGroup, stage } from "./ghashNibbles";
import {
  GHASH_LANES,
  GHASH_LIMBS,
  GHASH_PRODUCTS,
  KARATSUBA_POWERS,
  KEY_FLAGS,
  KEY_H4,
  KEY_KARATSUBA,
} from "./memory";
import { transposeWordsCall } from "./transpose";

const LIMBS: usize = 9;
const LIMB_TABLES: usize = 80;
const POWER_TABLES: usize = LIMBS * LIMB_TABLES;
/** All tables of a key. */
export const KARATSUBA_BYTES: usize = POWER_TABLES * KARATSUBA_POWERS;
/** Nibbles of one limb combination for all quads of a group. */
const LIMB_NIBBLES: usize = 32 * KARATSUBA_POWERS;

/** For i = 0 … 3: 0xff >> i in each lane n of which bit 3 - i (the coefficient of x^i) is set, else 0. */
// biome-ignore format: one row per vector of 16 bytes
const SHIFTED: usize = memory.data<u8>(
  [
    0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
    0, 0, 0, 0, 127, 127, 127, 127, 0, 0, 0, 0, 127, 127, 127, 127,
    0, 0, 63, 63, 0, 0, 63, 63, 0, 0, 63, 63, 0, 0, 63, 63,
    0, 31, 0, 31, 0, 31, 0, 31, 0, 31, 0, 31, 0, 31, 0, 31,
  ],
  16,
);
/** For i = 1 … 3: the bits that a shift by i moves into the top of the next byte, in the lanes of SHIFTED. */
// biome-ignore format: one row per vector of 16 bytes
const CARRIED: usize = memory.data<u8>(
  [
    0, 0, 0, 0, 128, 128, 128, 128, 0, 0, 0, 0, 128, 128, 128, 128,
    0, 0, 192, 192, 0, 0, 192, 192, 0, 0, 192, 192, 0, 0, 192, 192,
    0, 224, 0, 224, 0, 224, 0, 224, 0, 224, 0, 224, 0, 224, 0, 224,
  ],
  16,
);

/** Byte 0 of n·v for a byte v in all lanes: the sum of v >> i for the bits i of n. */
// @inline
function multiples(v: v128): v128 {
  return v128.xor(
    v128.xor(v128.and(v, v128.load(SHIFTED)), v128.and(i16x8.shr_u(v, 1), v128.load(SHIFTED + 16))),
    v128.xor(
      v128.and(i16x8.shr_u(v, 2), v128.load(SHIFTED + 32)),
      v128.and(i16x8.shr_u(v, 3), v128.load(SHIFTED + 48)),
    ),
  );
}

/** Byte 1 of n·v. */
// @inline
function carries(v: v128): v128 {
  return v128.xor(
    v128.and(i16x8.shl(v, 7), v128.load(CARRIED)),
    v128.xor(
      v128.and(i16x8.shl(v, 6), v128.load(CARRIED + 16)),
      v128.and(i16x8.shl(v, 5), v128.load(CARRIED + 32)),
    ),
  );
}

/** The five tables of the limb whose four bytes are at `limb`. */
function buildLimb(limb: usize, out: usize): void {
  let v = v128.load8_splat(limb);
  v128.store(out, multiples(v));
  for (let k: usize = 1; k < 4; k++) {
    const carry = carries(v);
    v = v128.load8_splat(limb + k);
    v128.store(out + 16 * k, v128.xor(multiples(v), carry));
  }
  v128.store(out + 64, carries(v));
}

/** All tables of `entry`, from H^4 and the tables of ghashNibbles.ts. */
function buildTables(entry: usize): void {
  let power = v128.load(entry + KEY_H4);
  const sums = GHASH_PRODUCTS;
  for (let i: usize = 0; i < KARATSUBA_POWERS; i++) {
    // There are nine combinations of four bytes each.
    const next = i32x4.shuffle(power, power, 1, 0, 3, 2);
    const afterNext = i32x4.shuffle(power, power, 2, 3, 0, 1);
    const neighbours = v128.xor(power, next);
    const halves = v128.xor(power, afterNext);
    const all = v128.xor(neighbours, i32x4.shuffle(neighbours, neighbours, 2, 3, 0, 1));
    v128.store(sums, i32x4.shuffle(power, neighbours, 0, 1, 4, 2));
    v128.store(sums + 16, i32x4.shuffle(power, neighbours, 3, 6, 3, 3));
    v128.store(sums + 24, i32x4.shuffle(halves, halves, 0, 1, 0, 1));
    v128.store(sums + 32, all);
    const out = entry + KEY_KARATSUBA + POWER_TABLES * i;
    for (let c: usize = 0; c < LIMBS; c++) buildLimb(sums + 4 * c, out + LIMB_TABLES * c);
    stage(0, power);
    power = multiplyGroup(entry, 4, 1);
  }
  store<u32>(entry + KEY_FLAGS, 1);
}

/** Stores the nibbles of limb combination c of one quad. */
// @inline
function stageLimb(c: usize, quad: usize, hi: v128, lo: v128): void {
  const out = GHASH_LIMBS + LIMB_NIBBLES * c + 32 * quad;
  v128.store(out, hi);
  v128.store(out + 16, lo);
}

/** Splits the limbs of one quad and their sums into nibbles. A nibble of a sum is the sum of nibbles. */
// @inline
function stageQuad(quad: usize, w0: v128, w1: v128, w2: v128, w3: v128): void {
  const mask = nibbleMask();
  const h0 = highNibbles(w0, mask);
  const l0 = v128.and(w0, mask);
  stageLimb(0, quad, h0, l0);
  const h1 = highNibbles(w1, mask);
  const l1 = v128.and(w1, mask);
  stageLimb(1, quad, h1, l1);
  const h01 = v128.xor(h0, h1);
  const l01 = v128.xor(l0, l1);
  stageLimb(2, quad, h01, l01);
  const h2 = highNibbles(w2, mask);
  const l2 = v128.and(w2, mask);
  stageLimb(3, quad, h2, l2);
  stageLimb(6, quad, v128.xor(h0, h2), v128.xor(l0, l2));
  const h3 = highNibbles(w3, mask);
  const l3 = v128.and(w3, mask);
  stageLimb(4, quad, h3, l3);
  stageLimb(7, quad, v128.xor(h1, h3), v128.xor(l1, l3));
  const h23 = v128.xor(h2, h3);
  const l23 = v128.xor(l2, l3);
  stageLimb(5, quad, h23, l23);
  stageLimb(8, quad, v128.xor(h01, h23), v128.xor(l01, l23));
}

/** The part that the low nibble class adds to byte k: x^4 · (byte k of a product and the byte before it). */
// @inline
function lowClass(l: v128, previous: v128, mask: v128): v128 {
  return v128.xor(highNibbles(l, mask), i16x8.shl(v128.and(previous, mask), 4));
}

/** Sums product c of all staged quads: 64 bits per lane, as two vectors of limbs in GHASH_PRODUCTS. */
function sumProducts(c: usize, tables: usize, quads: usize): void {
  let h0 = i64x2.splat(0);
  let h1 = i64x2.splat(0);
  let h2 = i64x2.splat(0);
  let h3 = i64x2.splat(0);
  let h4 = i64x2.splat(0);
  let l0 = i64x2.splat(0);
  let l1 = i64x2.splat(0);
  let l2 = i64x2.splat(0);
  let l3 = i64x2.splat(0);
  let l4 = i64x2.splat(0);
  const first = GHASH_LIMBS + LIMB_NIBBLES * c;
  const end = first + 32 * quads;
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (let ptr = first; ptr < end; ptr += 32) {
      const hi = v128.load(ptr);
      const lo = v128.load(ptr + 16);
      let t = v128.load(tables);
      h0 = v128.xor(h0, lookup(t, hi));
      l0 = v128.xor(l0, lookup(t, lo));
      t = v128.load(tables + 16);
      h1 = v128.xor(h1, lookup(t, hi));
      l1 = v128.xor(l1, lookup(t, lo));
      t = v128.load(tables + 32);
      h2 = v128.xor(h2, lookup(t, hi));
      l2 = v128.xor(l2, lookup(t, lo));
      t = v128.load(tables + 48);
      h3 = v128.xor(h3, lookup(t, hi));
      l3 = v128.xor(l3, lookup(t, lo));
      t = v128.load(tables + 64);
      h4 = v128.xor(h4, lookup(t, hi));
      l4 = v128.xor(l4, lookup(t, lo));
      tables -= POWER_TABLES;
    }
  } else {
    // A plain look-up takes one register more in V8, which spills three of ten sums at once. Bytes 0 to 2 of the
    // products are therefore summed first, then bytes 3 and 4.
    for (let ptr = first; ptr < end; ptr += 32) {
      const hi = v128.load(ptr);
      const lo = v128.load(ptr + 16);
      let t = v128.load(tables);
      h0 = v128.xor(h0, lookup(t, hi));
      l0 = v128.xor(l0, lookup(t, lo));
      t = v128.load(tables + 16);
      h1 = v128.xor(h1, lookup(t, hi));
      l1 = v128.xor(l1, lookup(t, lo));
      t = v128.load(tables + 32);
      h2 = v128.xor(h2, lookup(t, hi));
      l2 = v128.xor(l2, lookup(t, lo));
      tables -= POWER_TABLES;
    }
    tables += POWER_TABLES * quads;
    for (let ptr = first; ptr < end; ptr += 32) {
      const hi = v128.load(ptr);
      const lo = v128.load(ptr + 16);
      let t = v128.load(tables + 48);
      h3 = v128.xor(h3, lookup(t, hi));
      l3 = v128.xor(l3, lookup(t, lo));
      t = v128.load(tables + 64);
      h4 = v128.xor(h4, lookup(t, hi));
      l4 = v128.xor(l4, lookup(t, lo));
      tables -= POWER_TABLES;
    }
  }
  const mask = nibbleMask();
  h0 = v128.xor(h0, highNibbles(l0, mask));
  h1 = v128.xor(h1, lowClass(l1, l0, mask));
  h2 = v128.xor(h2, lowClass(l2, l1, mask));
  h3 = v128.xor(h3, lowClass(l3, l2, mask));
  // The degree of n·h is at most 34, so no bit of x^4 · l4 leaves its byte.
  h4 = v128.xor(h4, lowClass(l4, l3, mask));
  const low = v128.xor(v128.xor(h0, i32x4.shl(h1, 8)), v128.xor(i32x4.shl(h2, 16), i32x4.shl(h3, 24)));
  const high = v128.xor(v128.xor(i32x4.shr_u(h1, 24), i32x4.shr_u(h2, 16)), v128.xor(i32x4.shr_u(h3, 8), h4));
  v128.store(GHASH_PRODUCTS + 32 * c, low);
  v128.store(GHASH_PRODUCTS + 32 * c + 16, high);
}

// @inline
function product(c: usize): v128 {
  return v128.load(GHASH_PRODUCTS + 32 * c);
}

// @inline
function productHigh(c: usize): v128 {
  return v128.load(GHASH_PRODUCTS + 32 * c + 16);
}

/** v · (1 + x + x^2 + x^7) within one big-endian limb. */
// @inline
function fold(v: v128): v128 {
  return v128.xor(v128.xor(v, i32x4.shr_u(v, 1)), v128.xor(i32x4.shr_u(v, 2), i32x4.shr_u(v, 7)));
}

/** The part of the same product that belongs to the next limb. */
// @inline
function foldCarry(v: v128): v128 {
  return v128.xor(v128.xor(i32x4.shl(v, 31), i32x4.shl(v, 30)), i32x4.shl(v, 25));
}

/** Recombines the nine products, reduces, and leaves limbs 0 to 3 of the four lanes at GHASH_LANES. */
function recombine(): void {
  // The half products L (limbs 0-1), H (limbs 2-3) and M (the sums) have limbs r0 … r3 each.
  const L1 = v128.xor(v128.xor(productHigh(0), product(2)), v128.xor(product(0), product(1)));
  const L2 = v128.xor(v128.xor(product(1), productHigh(2)), v128.xor(productHigh(0), productHigh(1)));
  const H1 = v128.xor(v128.xor(productHigh(3), product(5)), v128.xor(product(3), product(4)));
  const H2 = v128.xor(v128.xor(product(4), productHigh(5)), v128.xor(productHigh(3), productHigh(4)));
  const M1 = v128.xor(v128.xor(productHigh(6), product(8)), v128.xor(product(6), product(7)));
  const M2 = v128.xor(v128.xor(product(7), productHigh(8)), v128.xor(productHigh(6), productHigh(7)));
  const L0 = product(0);
  const L3 = productHigh(1);
  const H0 = product(3);
  const H3 = productHigh(4);
  const middle2 = v128.xor(L2, H0);
  const middle3 = v128.xor(L3, H1);
  const R2 = v128.xor(v128.xor(middle2, product(6)), L0);
  const R3 = v128.xor(v128.xor(middle3, M1), L1);
  // Limbs 4 to 7 are reduced. They are big-endian for this, so that shifts go across bytes.
  const B4 = reverse4(v128.xor(v128.xor(middle2, M2), H2));
  const B5 = reverse4(v128.xor(v128.xor(middle3, productHigh(7)), H3));
  const B6 = reverse4(H2);
  const B7 = reverse4(H3);
  const again = foldCarry(B7);
  v128.store(GHASH_LANES, v128.xor(L0, reverse4(v128.xor(fold(B4), fold(again)))));
  v128.store(GHASH_LANES + 16, v128.xor(L1, reverse4(v128.xor(fold(B5), foldCarry(B4)))));
  v128.store(GHASH_LANES + 32, v128.xor(R2, reverse4(v128.xor(fold(B6), foldCarry(B5)))));
  v128.store(GHASH_LANES + 48, v128.xor(R3, reverse4(v128.xor(fold(B7), foldCarry(B6)))));
}

/**
 * Hashes 4 · quads blocks at `ptr` after Y. Leaves four values of 16 bytes at GHASH_LANES: the caller xors them onto
 * the next four blocks.
 */
export function hashQuads(entry: usize, y: v128, ptr: usize, quads: usize): void {
  if (load<u32>(entry + KEY_FLAGS) === 0) buildTables(entry);
  // Y is added to the first block, which is lane 0 of each limb.
  wipe(GHASH_LANES, GHASH_LANES + 64);
  v128.store(GHASH_LANES, y);
  transposeWordsCall(GHASH_LANES, GHASH_LANES);
  // The groups have about the same size; none is a small rest.
  let groups = (quads + KARATSUBA_POWERS - 1) / KARATSUBA_POWERS;
  for (; groups > 0; groups--) {
    const group = quads / groups;
    for (let quad: usize = 0; quad < group; quad++) {
      const x0 = v128.load(ptr);
      const x1 = v128.load(ptr + 16);
      const x2 = v128.load(ptr + 32);
      const x3 = v128.load(ptr + 48);
      const lo01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5);
      const hi01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7);
      const lo23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5);
      const hi23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7);
      let w0 = i64x2.shuffle(lo01, lo23, 0, 2);
      let w1 = i64x2.shuffle(lo01, lo23, 1, 3);
      let w2 = i64x2.shuffle(hi01, hi23, 0, 2);
      let w3 = i64x2.shuffle(hi01, hi23, 1, 3);
      if (quad === 0) {
        w0 = v128.xor(w0, v128.load(GHASH_LANES));
        w1 = v128.xor(w1, v128.load(GHASH_LANES + 16));
        w2 = v128.xor(w2, v128.load(GHASH_LANES + 32));
        w3 = v128.xor(w3, v128.load(GHASH_LANES + 48));
      }
      stageQuad(quad, w0, w1, w2, w3);
      ptr += 64;
    }
    const tables = entry + KEY_KARATSUBA + POWER_TABLES * (group - 1);
    for (let c: usize = 0; c < LIMBS; c++) sumProducts(c, tables + LIMB_TABLES * c, group);
    recombine();
    quads -= group;
  }
  // The limbs of four lanes become four blocks.
  transposeWordsCall(GHASH_LANES, GHASH_LANES);
}

/** Wipes everything that hashQuads leaves in scratch memory. */
export function wipeQuads(): void {
  memory.fill(GHASH_LIMBS, 0, GHASH_LANES + 64 - GHASH_LIMBS);
}
