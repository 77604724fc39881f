// What the levels of the fuzzer have in common.

import assert from "node:assert/strict";
import type { Random } from "../simulation/random.ts";

/** One level: takes inputs, one after the other, and throws where something is wrong. */
export interface Level {
  readonly name: string;
  /** A round of some inputs; returns how many. */
  round(random: Random): number | Promise<number>;
  /** Nothing is left. */
  end?(): void | Promise<void>;
}

export function someBytes(random: Random, most: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(random.chance(0.1) ? 0 : random.between(0, most));
  // Zeros, ones and borders are where faults are.
  const kind = random.between(0, 3);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = kind === 0 ? 0 : kind === 1 ? 0xff : random.between(0, 255);
  return bytes;
}

/** A copy with bits, bytes or runs changed, cut, doubled or moved. */
export function mutated(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  if (copy.length === 0) return someBytes(random, 40);
  const at = random.between(0, copy.length - 1);
  switch (random.between(0, 5)) {
    case 0:
      copy[at]! ^= 1 << random.between(0, 7);
      return copy;
    case 1:
      copy[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
      return copy;
    case 2:
      return copy.slice(0, at);
    case 3:
      return new Uint8Array([...copy.subarray(0, at), ...someBytes(random, 20), ...copy.subarray(at)]);
    case 4:
      return new Uint8Array([...copy, ...copy.subarray(at)]);
    default:
      copy.copyWithin(at, random.between(0, copy.length - 1));
      return copy;
  }
}

/** Pieces of any lengths that make up `bytes`. */
export function split(random: Random, bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const most = random.pick([1, 5, 100, 1_000, 65_536]);
  for (let at = 0; at < bytes.length; ) {
    const length = random.between(1, most);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** What `call` returns, or the code that it threw. Anything but an error of this library is a fault. */
export function outcome<T>(call: () => T): { value?: T; code?: string } {
  try {
    return { value: call() };
  } catch (error) {
    assert.equal((error as Error)?.name, "SealwireError", (error as Error)?.stack ?? String(error));
    return { code: (error as { code: string }).code };
  }
}
