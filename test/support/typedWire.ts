// Typed calls and answers made by hand (PROTOCOL.md, "Typed calls"), for tests of what no honest peer sends.

import type { CallHead } from "../../src/index.ts";

export const NO_BYTES = new Uint8Array(0);
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** What a typed head is about (PROTOCOL.md, "Typed calls"). */
export const About = {
  call: 1,
  callWithOptions: 2,
  openStream: 3,
  sendStream: 4,
  value: 16,
  idempotentValue: 17,
  error: 18,
};

export interface Parts {
  readonly method?: string;
  readonly number?: number;
  readonly streams?: readonly number[];
  readonly contentType?: number;
  /** Of the typed protocol. */
  readonly version?: number;
  readonly codecVersion?: number;
}

export function typedHead(
  about: number,
  { method: name, number, streams, contentType = 1, version = 1, codecVersion = 1 }: Parts = {},
): CallHead {
  const value = [version, about, codecVersion];
  if (number !== undefined) value.push(0, 0, number >> 8, number & 255);
  const fields = new Map([[255, Uint8Array.from(value)]]);
  if (streams !== undefined) fields.set(254, Uint8Array.from(streams));
  return { ...(name === undefined ? {} : { method: name }), contentType, fields };
}

/** An entry of field 254: this stream stands there. */
export function place(number: number, ...path: string[]): number[] {
  return [0, 0, 0, number, path.length, ...path.flatMap((key) => [0, key.length, ...bytes(key)])];
}

/** The code of a raw call's typed answer; "" for a value. */
export async function codeOf(call: {
  readonly answer: Promise<Uint8Array>;
  readonly answerHead: CallHead | undefined;
}) {
  const body = await call.answer;
  if (call.answerHead?.fields?.get(255)?.[1] !== About.error) return "";
  return new TextDecoder().decode(body.subarray(1, 1 + body[0]!));
}
