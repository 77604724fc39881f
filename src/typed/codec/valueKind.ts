// Finds the kind of an object by its internal slots (ECMA-262), from any realm, and not by its own claims. An instance
// of a subclass has none of these kinds, because its class would be lost.

import { viewOf } from "../../core/bytes.ts";

const { getPrototypeOf, hasOwn } = Object as ObjectConstructor & {
  hasOwn(value: object, name: string): boolean;
};

function getter(prototype: object, name: PropertyKey): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get!;
}
const typedArrayPrototype = getPrototypeOf(Uint8Array.prototype) as object;
const typedArrayName = getter(typedArrayPrototype, Symbol.toStringTag);
const typedArrayLength = getter(typedArrayPrototype, "length");
const typedArrayBuffer = getter(typedArrayPrototype, "buffer");
const typedArrayOffset = getter(typedArrayPrototype, "byteOffset");
const typedArrayBytes = getter(typedArrayPrototype, "byteLength");
const viewBuffer = getter(DataView.prototype, "buffer");
const viewOffset = getter(DataView.prototype, "byteOffset");
const viewBytes = getter(DataView.prototype, "byteLength");
const bufferBytes = getter(ArrayBuffer.prototype, "byteLength");
const mapSize = getter(Map.prototype, "size");
const setSize = getter(Set.prototype, "size");
const { getTime } = Date.prototype;
const tagOf = Object.prototype.toString;
const { at } = Uint8Array.prototype;

/** Runs an accessor of a built-in class; undefined if `value` is of another class. */
function internalSlot<T>(accessor: () => unknown, value: object): T | undefined {
  try {
    return accessor.call(value) as T;
  } catch {
    return undefined;
  }
}

/** Whether object literals have this prototype, in any realm. */
export function isPlainPrototype(prototype: object): boolean {
  return (
    prototype === Object.prototype ||
    (getPrototypeOf(prototype) === null &&
      hasOwn(prototype, "isPrototypeOf") &&
      hasOwn(prototype, "propertyIsEnumerable"))
  );
}

/** Whether array literals have this prototype, in any realm. */
export function isArrayPrototype(prototype: object | null): boolean {
  return prototype === Array.prototype || (prototype !== null && hasOwn(prototype, "copyWithin"));
}

/** A built-in object that is carried as such. */
export type BuiltIn =
  | { readonly kind: "date"; readonly time: number }
  | { readonly kind: "map"; readonly size: number }
  | { readonly kind: "set"; readonly size: number }
  | {
      readonly kind: "bytes";
      readonly element: string;
      readonly bytes: Uint8Array;
      /** The number of elements of a typed array; undefined for anything else. */
      readonly elements: number | undefined;
    }
  | { readonly kind: "error"; readonly name: string };

/** The language's classes of errors. */
export const errorClasses: ReadonlyMap<string, ErrorConstructor> = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError].map(
    (one) => [one.name, one as unknown as ErrorConstructor],
  ),
);

/**
 * The kind of a built-in object, or the reason why it can't be carried.
 *
 * @param prototype the object's, neither null nor that of a plain object
 */
export function builtInOf(value: object, prototype: object): BuiltIn | string {
  const element = typedArrayName.call(value) as string | undefined;
  if (element !== undefined) return typedArray(value, prototype, element);
  if (hasOwn(prototype, "getTime")) {
    const time = internalSlot<number>(getTime as () => unknown, value);
    if (time !== undefined) return { kind: "date", time };
  }
  if (hasOwn(prototype, "size")) {
    const entries = internalSlot<number>(mapSize, value);
    if (entries !== undefined) return { kind: "map", size: entries };
    const members = internalSlot<number>(setSize, value);
    if (members !== undefined) return { kind: "set", size: members };
  }
  if (hasOwn(prototype, "byteLength")) return buffer(value);
  const name = errorName(value, prototype);
  if (name !== undefined) return { kind: "error", name };
  return `it is an instance of ${classOf(value)}`;
}

function typedArray(value: object, prototype: object, element: string): BuiltIn | string {
  // A Buffer counts as bytes, as everywhere in this package; its prototype may be of another realm.
  const known = hasOwn(prototype, "BYTES_PER_ELEMENT") || isBufferPrototype(prototype);
  if (!known) return `it is an instance of ${classOf(value)}, a subclass of ${element}`;
  const memory = typedArrayBuffer.call(value) as ArrayBuffer;
  const byteLength = typedArrayBytes.call(value) as number;
  const elements = typedArrayLength.call(value) as number;
  if (elements === 0 && isGone(memory)) return "its memory was transferred away";
  const bytes = new Uint8Array(memory, typedArrayOffset.call(value) as number, byteLength);
  return { kind: "bytes", element, bytes, elements };
}

function isBufferPrototype(prototype: object): boolean {
  const { Buffer: own } = globalThis as { Buffer?: { prototype: object } };
  return own !== undefined && prototype === own.prototype;
}

/** Whether the memory of an empty view was transferred away: then every method of a view on it throws. */
function isGone(memory: ArrayBuffer): boolean {
  try {
    at.call(new Uint8Array(memory), 0);
    return false;
  } catch {
    return true;
  }
}

function buffer(value: object): BuiltIn | string {
  const memory = internalSlot<ArrayBuffer>(viewBuffer, value);
  if (memory !== undefined) {
    const byteLength = internalSlot<number>(viewBytes, value);
    const offset = internalSlot<number>(viewOffset, value);
    if (byteLength === undefined || offset === undefined) return "its memory was transferred away";
    const bytes = new Uint8Array(memory, offset, byteLength);
    return { kind: "bytes", element: "DataView", bytes, elements: undefined };
  }
  const byteLength = internalSlot<number>(bufferBytes, value);
  if (byteLength === undefined) return `it is an instance of ${classOf(value)}`;
  const own = value as ArrayBuffer & { readonly resizable?: boolean };
  if (own.resizable === true) return "it is a resizable ArrayBuffer";
  if (byteLength === 0 && isGone(own)) return "its memory was transferred away";
  const bytes = viewOf(new Uint8Array(own), 0, byteLength);
  return { kind: "bytes", element: "ArrayBuffer", bytes, elements: undefined };
}

/** The name of the class of an error that is of one of the language's own classes, and not of a subclass. */
function errorName(value: object, prototype: object): string | undefined {
  if (Symbol.toStringTag in value || tagOf.call(value) !== "[object Error]") return undefined;
  const { constructor: Class } = prototype as { constructor?: unknown };
  if (!hasOwn(prototype, "constructor") || typeof Class !== "function") return undefined;
  const { name } = Class;
  // A subclass inherits `message`; each of the language's classes has its own.
  return errorClasses.has(name) && hasOwn(prototype, "message") && hasOwn(prototype, "name")
    ? name
    : undefined;
}

/** The name of an object's class for an error message; runs no code of the object's. */
function classOf(value: object): string {
  for (let proto: object | null = getPrototypeOf(value); proto !== null; proto = getPrototypeOf(proto)) {
    const Class = Object.getOwnPropertyDescriptor(proto, "constructor")?.value;
    const name = typeof Class === "function" ? Object.getOwnPropertyDescriptor(Class, "name") : undefined;
    if (typeof name?.value === "string" && name.value !== "") return name.value.slice(0, 64);
  }
  return "a class without a name";
}
