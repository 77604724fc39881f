// Copies values that are plain JSON, which most are. It copies while it checks, so the written bytes are those of the
// checked values. It gives up at the first part that is not plain; the walk of jsonTree.ts then handles the value.

import { nameBesideElements } from "./arrayNames.ts";
import type { ResolvedCodecLimits } from "./codec.ts";

const { getPrototypeOf, getOwnPropertySymbols } = Object;
const plainPrototype = Object.prototype;
const arrayPrototype = Array.prototype;

/** The result for a value that is not plain JSON. */
export const NOT_PLAIN: unique symbol = Symbol("not plain");

/** Brackets and commas that are left. A getter may call another codec meanwhile, which restores the number. */
let left = 0;

/** A copy of `value` that JSON.stringify writes unchanged, or NOT_PLAIN. */
export function plainCopy(value: unknown, { maxDepth, maxValues }: ResolvedCodecLimits): unknown {
  const before = left;
  left = maxValues - 1;
  try {
    return copyAny(value, maxDepth);
  } catch {
    return NOT_PLAIN;
  } finally {
    left = before;
  }
}

function copyAny(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return value - value === 0 && (value !== 0 || 1 / value > 0) ? value : NOT_PLAIN;
    case "object":
      if (value === null) return null;
      return depth > 0 ? copyObject(value, depth - 1) : NOT_PLAIN;
    default:
      return NOT_PLAIN;
  }
}

function copyObject(value: object, depth: number): unknown {
  const prototype = getPrototypeOf(value);
  if (prototype === plainPrototype) return copyProperties(value, depth);
  return prototype === arrayPrototype && Array.isArray(value) ? copyElements(value, depth) : NOT_PLAIN;
}

function copyElements(value: readonly unknown[], depth: number): unknown {
  const { length } = value;
  // A proxy may report any length.
  left -= Math.max(length, 1);
  if (!(Number.isInteger(length) && left >= 0)) return NOT_PLAIN;
  const copy = new Array<unknown>(length);
  for (let i = 0; i < length; i++) {
    const item = copyAny(value[i], depth);
    if (item === NOT_PLAIN) return NOT_PLAIN;
    copy[i] = item;
  }
  return nameBesideElements(value, length) === undefined ? copy : NOT_PLAIN;
}

function copyProperties(value: object, depth: number): unknown {
  const copy: Record<string, unknown> = { ...value };
  left--;
  let count = 0;
  for (const name in copy) {
    count++;
    // The walk handles these names as data.
    if (name === "$" || name === "__proto__") return NOT_PLAIN;
    const property = copy[name];
    switch (typeof property) {
      case "string":
      case "boolean":
        continue;
      case "number":
        if (property - property === 0 && (property !== 0 || 1 / property > 0)) continue;
        return NOT_PLAIN;
      case "object": {
        if (property === null) continue;
        const item = depth > 0 ? copyObject(property, depth - 1) : NOT_PLAIN;
        if (item === NOT_PLAIN) return NOT_PLAIN;
        copy[name] = item;
        continue;
      }
      default:
        return NOT_PLAIN;
    }
  }
  if (count > 1) left -= count - 1;
  return left < 0 || Array.isArray(value) || getOwnPropertySymbols(value).length > 0 ? NOT_PLAIN : copy;
}
