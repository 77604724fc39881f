// Finds properties that an array has beside its elements. No format carries them, so such an array is refused.

import { runtimeName } from "../../core/runtimeName.ts";

const { getOwnPropertySymbols, keys: keysOf } = Object;
const { ownKeys: ownKeysOf } = Reflect;
const inBun = runtimeName === "bun";

/**
 * Engines make a string of each index to find such properties, which is slow for a long typed array. Its other
 * properties are ignored.
 */
const MOST_TYPED_ELEMENTS = 64;

/** The strings of the first indices: most arrays are short. */
const indexTexts = Array.from({ length: 64 }, (_, index) => String(index));

function isIndex(key: string, length: number): boolean {
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < length && String(index) === key;
}

/** A property of an array that is no element; undefined if there is none. May run traps of a proxy. */
export function nameBesideElements(array: object, length: number): PropertyKey | undefined {
  const keys = keysOf(array);
  const last = keys[keys.length - 1];
  // Indices come first, whatever was defined first.
  if (last !== undefined && last !== indexTexts[length - 1] && !isIndex(last, length)) return last;
  return getOwnPropertySymbols(array)[0];
}

/**
 * Whether an array that has all of its elements has no other property. In Bun one list of all keys costs less than two
 * lists, in V8 more.
 */
export function hasOnlyElements(array: object, length: number): boolean {
  // The key that is no element is `length`.
  return inBun ? ownKeysOf(array).length === length + 1 : nameBesideElements(array, length) === undefined;
}

/** The same for a typed array of this length, if it is short. */
export function nameBesideTypedElements(array: object, elements: number): PropertyKey | undefined {
  return elements <= MOST_TYPED_ELEMENTS ? nameBesideElements(array, elements) : undefined;
}

/** Why such an array is refused. */
export function refusalOfName(name: PropertyKey): string {
  return `it is an array with the property ${String(name).slice(0, 64)} beside its elements`;
}
