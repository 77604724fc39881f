// Settings: the limits of a side, sent once at the beginning. Until the peer's settings arrive, the constants here
// hold. Settings can only raise them, so no side has to wait for settings, and no earlier record breaks them.

import { SealwireError } from "../base/errors.ts";
import { decodeFields, encodeFields, type Fields, u32Field, u32Value, unknownCritical } from "./fields.ts";

export interface Settings {
  /** The longest sealed frame (ciphertext and tag). */
  readonly maxFrameBytes: number;
  /** Unfinished requests of the peer. */
  readonly maxRequests: number;
  /** Of these, the requests with streams. */
  readonly maxStreams: number;
  /** Bytes of messages and requests that the peer may send before it gets credit. */
  readonly messageCredit: number;
}

/** The limits that hold before settings arrive. */
export const BASE_SETTINGS: Settings = {
  maxFrameBytes: 65_536,
  maxRequests: 128,
  maxStreams: 128,
  messageCredit: 262_144,
};

/** No peer sends a longer frame: a longer body needs a stream. */
export const MAX_FRAME_BYTES = 33_554_432;
/** Credit never adds up to more than this. */
export const MAX_CREDIT = 0x7fffffff;
export const MAX_SETTINGS_BYTES = 1_024;

const Tag = { maxFrameBytes: 1, maxRequests: 2, maxStreams: 3, messageCredit: 4, kinds: 5 } as const;
const known: ReadonlySet<number> = new Set(Object.values(Tag));

/** The body of a settings record. */
export function encodeSettings(settings: Settings): Uint8Array {
  const fields: Fields = new Map();
  for (const name of ["maxFrameBytes", "maxRequests", "maxStreams", "messageCredit"] as const) {
    if (settings[name] > BASE_SETTINGS[name]) fields.set(Tag[name], u32Value(settings[name]));
  }
  return encodeFields(fields);
}

/**
 * The settings in bytes [start, end). A setting that is missing or lower than its base value has the base value.
 *
 * @throws SealwireError ERR_PROTOCOL
 */
export function decodeSettings(bytes: Uint8Array, start: number, end: number): Settings {
  if (end - start > MAX_SETTINGS_BYTES) throw new SealwireError("ERR_PROTOCOL", "settings of too many bytes");
  const fields = decodeFields(bytes, start, end);
  const critical = unknownCritical(fields, known);
  if (critical !== undefined) {
    throw new SealwireError("ERR_PROTOCOL", `settings with the critical field ${critical}, unknown here`);
  }
  const raised = (tag: number, base: number, most: number) =>
    Math.min(Math.max(u32Field(fields, tag) ?? base, base), most);
  return {
    maxFrameBytes: raised(Tag.maxFrameBytes, BASE_SETTINGS.maxFrameBytes, MAX_FRAME_BYTES),
    maxRequests: raised(Tag.maxRequests, BASE_SETTINGS.maxRequests, MAX_CREDIT),
    maxStreams: raised(Tag.maxStreams, BASE_SETTINGS.maxStreams, MAX_CREDIT),
    messageCredit: raised(Tag.messageCredit, BASE_SETTINGS.messageCredit, MAX_CREDIT),
  };
}
