// GF(2^128) as GHASH uses it (SP 800-38D section 6.3), on BigInt: slow, not constant-time, for attacks in tests.
// Bit 127 of the BigInt is the block's first bit, the coefficient of x^0.

const R = 0xe1n << 120n;

export function blockToField(block: Uint8Array): bigint {
  let x = 0n;
  for (let i = 0; i < 16; i++) x = (x << 8n) | BigInt(block[i] ?? 0);
  return x;
}

export function fieldToBlock(x: bigint): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => Number((x >> BigInt(8 * (15 - i))) & 0xffn));
}

/** x · y */
export function multiply(x: bigint, y: bigint): bigint {
  let z = 0n;
  let v = y;
  for (let i = 127n; i >= 0n; i--) {
    if ((x >> i) & 1n) z ^= v;
    v = v & 1n ? (v >> 1n) ^ R : v >> 1n;
  }
  return z;
}

function square(x: bigint, times: number): bigint {
  for (let i = 0; i < times; i++) x = multiply(x, x);
  return x;
}

/** The square root: every element has exactly one, x^(2^127). */
export function squareRoot(x: bigint): bigint {
  return square(x, 127);
}

/** 1 / x = x^(2^128 - 2), for x other than 0. */
export function inverse(x: bigint): bigint {
  let result = square(x, 1);
  let power = result;
  for (let i = 2; i < 128; i++) {
    power = square(power, 1);
    result = multiply(result, power);
  }
  return result;
}

/** GHASH with the key H of a ciphertext without associated data, length block included. */
export function ghash(H: bigint, ciphertext: Uint8Array): bigint {
  let y = 0n;
  for (let at = 0; at < ciphertext.length; at += 16) {
    y = multiply(y ^ blockToField(ciphertext.subarray(at, at + 16)), H);
  }
  return multiply(y ^ BigInt(ciphertext.length * 8), H);
}
