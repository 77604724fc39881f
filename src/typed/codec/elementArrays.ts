// Makes typed arrays, DataViews and ArrayBuffers by name from bytes, in memory of their own. Elements are little-endian
// on the wire, as in the memory of every machine that the runtimes support.

type ArrayClass = { new (memory: ArrayBuffer): ArrayBufferView; readonly BYTES_PER_ELEMENT?: number };

const global = globalThis as Record<string, unknown>;
const names = [
  "Uint8Array",
  "Uint8ClampedArray",
  "Int8Array",
  "Uint16Array",
  "Int16Array",
  "Uint32Array",
  "Int32Array",
  "BigUint64Array",
  "BigInt64Array",
  "Float32Array",
  "Float64Array",
  "DataView",
];
// Node 20 lacks it.
const half = "Float16Array";

const classes = new Map<string, ArrayClass>(
  [...names, half].flatMap((name) => (name in global ? [[name, global[name] as ArrayClass]] : [])),
);

/** Whether a mark of this name means bytes. */
export function isElementArray(name: string): boolean {
  return name === "ArrayBuffer" || name === half || classes.has(name);
}

/** An object with these bytes, which are copied; or the reason why there is none. */
export function elementArray(name: string, bytes: Uint8Array): ArrayBufferView | ArrayBuffer | string {
  const Class = classes.get(name);
  if (Class === undefined && name !== "ArrayBuffer") return `this runtime has no ${name}`;
  if (bytes.length % (Class?.BYTES_PER_ELEMENT ?? 1) !== 0)
    return `${bytes.length} bytes are no whole number of elements of a ${name}`;
  const { buffer } = new Uint8Array(bytes);
  return Class === undefined ? buffer : new Class(buffer);
}
