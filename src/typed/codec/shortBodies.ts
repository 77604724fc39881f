// Writes the bodies of small values into one piece of memory, which is lent to the sender and wiped when it is given
// back. A body of its own would cost more than writing it, and its bytes would stay in memory until the next garbage
// collection.

import { viewOf } from "../../core/bytes.ts";
import { wipe } from "../../core/wipe.ts";
import { LONGEST_PLAIN } from "./jsonBytes.ts";
import { GAVE_UP, PLAIN_ROOM, writePlain, writePlainList } from "./plainWriter.ts";

const memory = new Uint8Array(PLAIN_ROOM);
/** The first bytes of `memory`, by their number. */
const bodies: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(LONGEST_PLAIN + 1).fill(
  undefined,
);
/** The lent part; while a value is written, all of it. */
let lent: Uint8Array | undefined;

/**
 * The body of a small value that is plain JSON, lent until `giveBackBody`. Undefined for every other value, and while
 * another body is lent, because getters of a value may encode, and so may code that is called with a body.
 */
export function lendShortBody(value: unknown, maxDepth: number): Uint8Array | undefined {
  return lend(writePlain, value, maxDepth);
}

/** The same for an array that this package made: it has its elements and nothing else. */
export function lendShortList(list: readonly unknown[], maxDepth: number): Uint8Array | undefined {
  return lend(writePlainList, list, maxDepth);
}

function lend<Value>(
  write: (value: Value, maxDepth: number, memory: Uint8Array) => number,
  value: Value,
  maxDepth: number,
): Uint8Array | undefined {
  if (lent !== undefined) return undefined;
  lent = memory;
  let length = GAVE_UP;
  try {
    length = write(value, maxDepth, memory);
  } catch {
    // The codec reads the value again, gets the same error, and reports its path.
  }
  if (length === GAVE_UP) {
    wipe(memory);
    lent = undefined;
    return undefined;
  }
  const body = bodies[length] ?? viewOf(memory, 0, length);
  bodies[length] = body;
  lent = body;
  return body;
}

/** Wipes a body, lent or not. */
export function giveBackBody(body: Uint8Array): void {
  wipe(body);
  if (body === lent) lent = undefined;
}
