// Keys of Maps and members of Sets that a peer can choose so that all collide: engines hash numbers and bigints without a
// seed, and of texts they keep the seed to themselves.

import type { ResolvedCodecLimits } from "./codec.ts";

/** Whether a key is hashed in a way that anybody can compute. */
export function isNumberKey(key: unknown): boolean {
  return typeof key === "number" || typeof key === "bigint";
}

/** Why a body with more of them is refused. */
export function tooManyNumberKeys({ maxNumberKeys }: ResolvedCodecLimits): string {
  return `a body has at most ${maxNumberKeys} numbers as keys of Maps and members of Sets (maxNumberKeys)`;
}
