// Byte arrays: which values count as bytes, from any realm, and integers in them.

import { invalidArgument, type SealwireError } from "../base/errors.ts";
import { unfilledMemory } from "./unfilledMemory.ts";

/**
 * A Uint8Array over an ArrayBuffer of its own. Written so that TypeScript before 5.7, where Uint8Array takes no
 * parameter, reads it, too.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor["of"]>;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
/** Reads the kind of a typed array from its internal slot (ECMA-262); undefined for any other value. */
const kindOf = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag)!.get!;
/** Reads the length of a typed array in the same way; throws for any other value. */
const lengthOf = Object.getOwnPropertyDescriptor(typedArray, "length")!.get!;
const { at } = Uint8Array.prototype;
const { getPrototypeOf, hasOwn } = Object as ObjectConstructor & {
  hasOwn(value: object, name: string): boolean;
};
/** The prototypes of most bytes: they say the truth. */
const bytesPrototype: object = Uint8Array.prototype;
const bufferPrototype = (globalThis as { Buffer?: { prototype: object } }).Buffer?.prototype;

/**
 * Whether a value is a Uint8Array (a Buffer is one), also of another realm: node:vm and test environments built on it
 * have a Uint8Array of their own, which `instanceof` does not know. Never throws. It does not tell whether the memory
 * was transferred away.
 */
export function isBytes(value: unknown): value is Uint8Array {
  return kindOf.call(value) === "Uint8Array";
}

/**
 * Whether `buffer` and `byteOffset` are those of the array. A subclass may have properties of these names that mean
 * something else, such as a place in a file. They are not compared, because engines make the buffer of a short array when
 * it is read.
 */
function saysItsPlace(value: object): boolean {
  for (let part = value; !hasOwn(part, "BYTES_PER_ELEMENT"); part = getPrototypeOf(part)) {
    if (hasOwn(part, "buffer") || hasOwn(part, "byteOffset")) return false;
  }
  return true;
}

/**
 * The same, the memory is there, and `length`, `buffer` and `byteOffset` are those of the array: a subclass may count
 * something else, such as bits, and a proxy or an object that inherits from an array may say anything. Others' bytes would
 * be sent with what is too much, or be overwritten by it.
 */
function isUsable(value: unknown): value is Uint8Array {
  try {
    if (!(value instanceof Uint8Array || isBytes(value)) || value.length !== lengthOf.call(value))
      return false;
    const prototype = getPrototypeOf(value);
    const isPlain = prototype === bytesPrototype || prototype === bufferPrototype;
    // A detached array looks like an empty one, but all its methods throw. So does `instanceof` of a revoked proxy.
    return (isPlain || saysItsPlace(value)) && (value.length > 0 || at.call(value, 0) === undefined);
  } catch {
    return false;
  }
}

/** An array whose memory is gone has a length of 0, whatever its class says. */
function whyUnusable(array: Uint8Array): string {
  if (lengthOf.call(array) === 0) return "its memory was transferred or cut off";
  return `its class says another ${saysItsPlace(array) ? "length" : "place"} than that of its memory`;
}

/**
 * The one check of bytes that a caller passes. Allocates nothing.
 *
 * @param name the name of the argument in the error
 * @param expected completes "must be …" if more than the type is required
 * @throws SealwireError ERR_INVALID_ARGUMENT for anything but a Uint8Array of any realm, for one whose memory was
 *   transferred away (detached) or whose resizable buffer has become too short, and for one that says another length
 */
export function requireBytes(
  name: string,
  value: unknown,
  expected = "a Uint8Array",
): asserts value is Uint8Array {
  if (!isUsable(value)) throw notUsable(name, value, expected);
}

/** Apart from its caller, which V8 then inlines. */
function notUsable(name: string, value: unknown, expected: string): SealwireError {
  return invalidArgument(name, isBytes(value) ? `${expected}; ${whyUnusable(value)}` : expected);
}

/**
 * `requireBytes` for a fixed length.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function requireBytesOf(name: string, value: unknown, length: number): asserts value is Uint8Array {
  if (isUsable(value) && value.length === length) return;
  throw invalidArgument(name, `a Uint8Array of ${length} bytes`);
}

/**
 * `requireBytes` for a longest length.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function requireBytesUpTo(name: string, value: unknown, longest: number): asserts value is Uint8Array {
  if (isUsable(value) && value.length <= longest) return;
  const grouped = String(longest).replace(/\B(?=(\d{3})+$)/g, ",");
  requireBytes(name, value, `a Uint8Array of at most ${grouped} bytes`);
  throw invalidArgument(name, `a Uint8Array of at most ${grouped} bytes`);
}

/**
 * Bytes [start, end) as a plain Uint8Array. Unlike `subarray` it runs no constructor of a subclass, which may be other
 * code.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

const byteLengthOf = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")!.get!;

/**
 * Whether another thread may write to these bytes meanwhile. It reads `buffer`, which engines create at that moment for
 * a short array, so it is not for hot paths.
 */
export function isShared(bytes: Uint8Array): boolean {
  try {
    byteLengthOf.call(bytes.buffer);
    return false;
  } catch {
    return true;
  }
}

/** u32be at `at`. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Writes u32be at `at`. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The length of all parts together. */
export function totalLength(parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) total += part.length;
  return total;
}

/** Bytes [start, end) as a copy with an ArrayBuffer of its own; `slice` of a runtime's subclass may be a view. */
export function copyOf(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const copy = new Uint8Array(unfilledMemory(end - start));
  copy.set(viewOf(bytes, start, end));
  return copy;
}
