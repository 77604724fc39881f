// Poly1305 (RFC 8439 section 2.5) of whole blocks of 16 bytes. The AEAD of section 2.8 needs no others, because it pads
// with zeros.
//
// Secret: r, s, h. A state P is POLY1305_BYTES in linear memory, all u32:
//   +0   h, five words (the last at most 4: h < 2^130 + 2^128)      +32  r, four words, clamped      +48  s, four words
//
// Bounds, with h + block + 2^128 in s_0 … s_4: s_0 … s_3 < 2^33, s_4 <= 5. Clamping leaves r_i < 2^28, so
// rr_i = 5/4 r_i < 2^28.4, and each of the sums y_0 … y_3 of five products stays below 2^63.4. The low two bits of r_1
// to r_3 are 0, so rr_1 to rr_3 lose nothing; the low two bits of r_0 come back in u_5. No branch depends on a value.

import { wipe } from "./bytes";

export const POLY1305_BYTES: usize = 64;
const R: usize = 32;
const S: usize = 48;
const LOW: u64 = 0xffffffff;

/** Begins a hash with the one-time key r ‖ s, 32 bytes at `key`; r is clamped here. */
export function polyBegin(P: usize, key: usize): void {
  const zero = i64x2.splat(0);
  v128.store(P, zero);
  v128.store(P + 16, zero);
  store<u32>(P + R, load<u32>(key) & 0x0fffffff);
  for (let i: usize = 4; i < 16; i += 4) store<u32>(P + R + i, load<u32>(key + i) & 0x0ffffffc);
  v128.store(P + S, v128.load(key + 16));
}

/** Hashes the `blocks` blocks of 16 bytes at `text`. */
export function polyBlocks(P: usize, text: usize, blocks: usize): void {
  let h0: u64 = load<u32>(P);
  let h1: u64 = load<u32>(P, 4);
  let h2: u64 = load<u32>(P, 8);
  let h3: u64 = load<u32>(P, 12);
  let h4: u64 = load<u32>(P, 16);
  const r0: u64 = load<u32>(P + R);
  const r1: u64 = load<u32>(P + R, 4);
  const r2: u64 = load<u32>(P + R, 8);
  const r3: u64 = load<u32>(P + R, 12);
  const rr0 = (r0 >> 2) * 5;
  const rr1 = (r1 >> 2) + r1;
  const rr2 = (r2 >> 2) + r2;
  const rr3 = (r3 >> 2) + r3;
  for (const end = text + 16 * blocks; text < end; text += 16) {
    const s0 = h0 + load<u32>(text);
    const s1 = h1 + load<u32>(text, 4);
    const s2 = h2 + load<u32>(text, 8);
    const s3 = h3 + load<u32>(text, 12);
    const s4 = h4 + 1;
    const y0 = s0 * r0 + s1 * rr3 + s2 * rr2 + s3 * rr1 + s4 * rr0;
    const y1 = s0 * r1 + s1 * r0 + s2 * rr3 + s3 * rr2 + s4 * rr1;
    const y2 = s0 * r2 + s1 * r1 + s2 * r0 + s3 * rr3 + s4 * rr2;
    const y3 = s0 * r3 + s1 * r2 + s2 * r1 + s3 * r0 + s4 * rr3;
    const u5 = s4 * (r0 & 3) + (y3 >> 32);
    h0 = (u5 >> 2) * 5 + (y0 & LOW);
    h1 = (h0 >> 32) + (y1 & LOW) + (y0 >> 32);
    h2 = (h1 >> 32) + (y2 & LOW) + (y1 >> 32);
    h3 = (h2 >> 32) + (y3 & LOW) + (y2 >> 32);
    h4 = (h3 >> 32) + (u5 & 3);
    h0 &= LOW;
    h1 &= LOW;
    h2 &= LOW;
    h3 &= LOW;
  }
  store<u32>(P, <u32>h0);
  store<u32>(P, <u32>h1, 4);
  store<u32>(P, <u32>h2, 8);
  store<u32>(P, <u32>h3, 12);
  store<u32>(P, <u32>h4, 16);
}

/** The tag, (h mod 2^130 - 5) + s mod 2^128. The state stays as it is; polyEnd wipes it. */
export function polyTag(P: usize): v128 {
  const h0: u64 = load<u32>(P);
  const h1: u64 = load<u32>(P, 4);
  const h2: u64 = load<u32>(P, 8);
  const h3: u64 = load<u32>(P, 12);
  const h4: u64 = load<u32>(P, 16);
  // 2^130 - 5 fits into h as often as h + 5 carries into bit 130.
  let c: u64 = (5 + h0) >> 32;
  c = (c + h1) >> 32;
  c = (c + h2) >> 32;
  c = (c + h3) >> 32;
  c = ((c + h4) >> 2) * 5;
  c += h0 + load<u32>(P + S);
  const t0 = <u32>c;
  c = (c >> 32) + h1 + load<u32>(P + S, 4);
  const t1 = <u32>c;
  c = (c >> 32) + h2 + load<u32>(P + S, 8);
  const t2 = <u32>c;
  c = (c >> 32) + h3 + load<u32>(P + S, 12);
  const low = i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(t0), 1, t1), 2, t2);
  return i32x4.replace_lane(low, 3, <u32>c);
}

/** Wipes the state. */
export function polyEnd(P: usize): void {
  wipe(P, P + POLY1305_BYTES);
}
