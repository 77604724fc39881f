// Streams within values. The codec never sees a stream: each is taken out before, and its path is sent beside the
// value. So no part of a value can be mistaken for a stream.

import { MAX_STREAM_DEPTH, MAX_VALUE_STREAMS } from "./typedHead.ts";

/** The most objects and arrays that are searched for streams. */
const MAX_LOOKED_AT = 65_536;

/** A stream in a value. */
export interface FoundStream {
  readonly path: readonly string[];
  readonly stream: AsyncIterable<unknown>;
}

/**
 * Whether a value is sent as a stream. May run the value's own code. A value that throws here is no stream, and the
 * codec reports its error.
 */
export function isStream(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    return typeof (value as { [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator] === "function";
  } catch {
    return false;
  }
}

/**
 * The streams in plain objects and arrays, at any depth up to the limit. Undefined if there are more than a value may
 * have. A part that throws during the search holds none.
 */
export function findStreams(value: unknown): FoundStream[] | undefined {
  const found: FoundStream[] = [];
  let left = MAX_LOOKED_AT;
  const look = (at: unknown, path: readonly string[]): boolean => {
    if (isStream(at)) return found.push({ path, stream: at }) <= MAX_VALUE_STREAMS;
    if (!isContainer(at) || path.length === MAX_STREAM_DEPTH) return true;
    for (const [key, item] of propertiesOf(at)) {
      if (left-- === 0) return true;
      if (!look(item, [...path, key])) return false;
    }
    return true;
  };
  return look(value, []) ? found : undefined;
}

/** The value with null in place of its streams. A part without streams is the same object as before. */
export function withoutStreams(value: unknown, found: readonly FoundStream[]): unknown {
  let without = value;
  for (const { path } of found) without = replaced(without, path, 0);
  return without;
}

function replaced(value: unknown, path: readonly string[], at: number): unknown {
  if (at === path.length) return at === 0 ? undefined : null;
  const container = value as Record<string, unknown>;
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...value] as unknown as Record<string, unknown>)
    : Object.assign(Object.create(Object.getPrototypeOf(value) as object | null), container);
  const key = path[at]!;
  copy[key] = replaced(container[key], path, at + 1);
  return copy;
}

/**
 * Puts a received stream into an own property that is null, and nowhere else. Returns the value, which is the stream
 * itself for an empty path; undefined if there is no such property.
 */
export function withStream(value: unknown, path: readonly string[], stream: unknown): unknown {
  if (path.length === 0) return value === undefined ? stream : undefined;
  let at: unknown = value;
  for (const key of path.slice(0, -1)) {
    if (!isContainer(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  const last = path.at(-1)!;
  if (!isContainer(at) || !Object.hasOwn(at, last) || at[last] !== null) return undefined;
  at[last] = stream;
  return value;
}

function propertiesOf(container: Record<string, unknown>): readonly [string, unknown][] {
  try {
    return Object.entries(container);
  } catch {
    return [];
  }
}

function isContainer(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    // A proxy may throw any value.
    if (Array.isArray(value)) return true;
    const prototype = Object.getPrototypeOf(value) as object | null;
    return prototype === null || Object.getPrototypeOf(prototype) === null;
  } catch {
    return false;
  }
}
