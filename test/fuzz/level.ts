// What the levels of the fuzzer have in common.

import assert from "node:assert/strict";
import type { Random } from "../simulation/random.ts";

/** One level: makes inputs of decisions, and throws where something is wrong. */
export interface Level {
  readonly name: string;
  /** Whether the same decisions send the same again, so that a corpus of them is worth something. Left out: yes. */
  readonly isRepeatable?: boolean;
  /** Tries to make a tape of the corpus shorter, where it is written. Left out: 60. */
  readonly shortenings?: number;
  /** Some inputs that belong together; returns how many. Its own end is clean: nothing of it is left. */
  run(random: Random): number | Promise<number>;
  /** Nothing is left. */
  end?(): void | Promise<void>;
}

export function someBytes(random: Random, most: number): Uint8Array<ArrayBuffer> {
  const length = random.chance(0.1) ? 0 : random.between(0, most);
  // Zeros, ones and borders are where faults are.
  const kind = random.between(0, 3);
  return kind < 2 ? new Uint8Array(length).fill(kind === 0 ? 0 : 0xff) : random.bytes(length);
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
      return joined(copy.subarray(0, at), someBytes(random, 20), copy.subarray(at));
    case 4:
      return joined(copy, copy.subarray(at));
    default:
      copy.copyWithin(at, random.between(0, copy.length - 1));
      return copy;
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The longest input that is cut into single bytes. */
const MOST_PIECES = 400;
/** Single bytes are rare: they would cost as much as everything else together. */
const LONGEST_PIECES = [1, 5, 5, 40, 40, 100, 100, 300, 300, 300, 1_000, 1_000, 1_000, 1_000, 65_536, 65_536];

/** Pieces of any lengths that make up `bytes`. */
export function split(random: Random, bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const most = Math.max(random.pick(LONGEST_PIECES), Math.ceil(bytes.length / MOST_PIECES));
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
    return { code: codeOf(error) };
  }
}

/** The code of an error of this library. */
export function codeOf(error: unknown): string {
  // Its stack costs more than the call that failed, and is only wanted where something is wrong.
  if ((error as Error)?.name !== "SealwireError") assert.fail((error as Error)?.stack ?? String(error));
  return (error as { code: string }).code;
}
