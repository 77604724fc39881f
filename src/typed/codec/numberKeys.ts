// Keys of Maps and members of Sets that a peer can choose so that all collide. Engines hash numbers and bigints without
// a seed; the seed for strings is secret.

import type { ResolvedCodecLimits } from "./codec.ts";

/** Whether anybody can compute the hash of a key. */
export function isNumberKey(key: unknown): boolean {
  return typeof key === "number" || typeof key === "bigint";
}

/** Why a body with more of them is refused. */
export function tooManyNumberKeys({ maxNumberKeys }: ResolvedCodecLimits): string {
  return `a body has at most ${maxNumberKeys} numbers as keys of Maps and members of Sets (maxNumberKeys)`;
}
