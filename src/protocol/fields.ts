// Lists of fields, u8 tag ‖ u16be length ‖ value, for everything in protocol v2 that may grow: settings, heads of
// calls, reasons of an end. Tags ascend, and no tag occurs twice. A receiver skips unknown tags below 64. Unknown tags
// from 64 to 127 are critical: their record can't be understood without them. Tags from 128 on belong to the
// application.

import { SealwireError } from "../base/errors.ts";
import { totalLength, viewOf } from "../core/bytes.ts";

export const FIRST_CRITICAL_TAG = 64;
export const FIRST_APPLICATION_TAG = 128;
const LAST_TAG = 255;
const FIELD_HEADER_BYTES = 3;
const MAX_VALUE_BYTES = 0xffff;

/** Values by tag. */
export type Fields = Map<number, Uint8Array>;

/** The bytes of these fields, tags ascending. */
export function encodeFields(fields: Fields): Uint8Array {
  const tags = [...fields.keys()].sort((a, b) => a - b);
  const values = tags.map((tag) => fields.get(tag)!);
  const bytes = new Uint8Array(totalLength(values) + FIELD_HEADER_BYTES * tags.length);
  let at = 0;
  for (const [i, tag] of tags.entries()) {
    const value = values[i]!;
    bytes[at] = tag;
    bytes[at + 1] = value.length >>> 8;
    bytes[at + 2] = value.length;
    bytes.set(value, at + FIELD_HEADER_BYTES);
    at += FIELD_HEADER_BYTES + value.length;
  }
  return bytes;
}

/**
 * The fields in bytes [start, end), as views.
 *
 * @throws SealwireError ERR_PROTOCOL if the fields do not fill them, or their tags do not ascend
 */
export function decodeFields(bytes: Uint8Array, start: number, end: number): Fields {
  const fields: Fields = new Map();
  let last = -1;
  for (let at = start; at < end; ) {
    const valueStart = at + FIELD_HEADER_BYTES;
    const next = valueStart > end ? 0 : valueStart + ((bytes[at + 1]! << 8) | bytes[at + 2]!);
    const tag = bytes[at]!;
    if (next < valueStart || next > end || tag <= last) {
      throw new SealwireError("ERR_PROTOCOL", "malformed fields");
    }
    fields.set(tag, viewOf(bytes, valueStart, next));
    last = tag;
    at = next;
  }
  return fields;
}

/** The first critical tag that is not in `known`, or undefined. */
export function unknownCritical(fields: Fields, known: ReadonlySet<number>): number | undefined {
  for (const tag of fields.keys()) {
    if (tag >= FIRST_CRITICAL_TAG && tag < FIRST_APPLICATION_TAG && !known.has(tag)) return tag;
  }
  return undefined;
}

/** Whether an application may use this tag and value. */
export function isApplicationField(tag: number, value: Uint8Array): boolean {
  return (
    Number.isInteger(tag) &&
    tag >= FIRST_APPLICATION_TAG &&
    tag <= LAST_TAG &&
    value.length <= MAX_VALUE_BYTES
  );
}

/** The u32be in a field; undefined without the field. */
export function u32Field(fields: Fields, tag: number): number | undefined {
  const value = fields.get(tag);
  if (value === undefined) return undefined;
  if (value.length !== 4) throw new SealwireError("ERR_PROTOCOL", `field ${tag} must have 4 bytes`);
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

/** u32be as a value. */
export function u32Value(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
