// Level 2: frames as a peer that holds the keys may make them, and as somebody on the way may change them, in any
// pieces. A parser of its own says which records have to come of them, byte for byte.

import assert from "node:assert/strict";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { memory, RECEIVE_WINDOW } from "../../src/core/wasmModule.ts";
import { aes256gcm } from "../../src/crypto.ts";
import { Backlog, type RecordHandler } from "../../src/protocol/backlog.ts";
import { FrameOpener } from "../../src/protocol/frameOpener.ts";
import { FrameReader } from "../../src/protocol/frameReader.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import { wipeReceiveMemory } from "../../src/protocol/receiveMemory.ts";
import { Session } from "../../src/protocol/session.ts";
import { Kind } from "../../src/protocol/wire.ts";
import type { Random } from "../simulation/random.ts";
import { type Level, mutated, someBytes, split } from "./level.ts";

const MAX_FRAME_BYTES = 100_000;
const { format } = noise({ psk: new Uint8Array(32).fill(1) }, "server");

interface Seen {
  readonly sequence: number;
  readonly kind: number;
  readonly body: Buffer;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** Any kind of protocol v2, sometimes one that is reserved or not assigned. */
const anyKind = (random: Random): number =>
  random.chance(0.9) ? random.between(0, Kind.blocked) : random.between(0, 127);

/** What each direction begins with: settings alone. */
function settings(random: Random): Buffer {
  const longest = Buffer.concat([Buffer.of(1, 0, 4), u32(random.between(0, 0xffffffff))]);
  return Buffer.concat([u32(0), Buffer.of(Kind.settings), longest]);
}

/** A plaintext: mostly well formed. */
function plaintext(random: Random, first: boolean): Buffer {
  if (first && random.chance(0.8)) return settings(random);
  const message = (): Buffer =>
    Buffer.concat([
      u32(random.between(0, 9)),
      Buffer.of(anyKind(random)),
      someBytes(random, random.pick([3, 60, 9_000])),
    ]);
  let bytes = message();
  if (random.chance(0.5)) {
    const records = Array.from({ length: random.between(0, 6) }, message);
    bytes = Buffer.concat([
      u32(0),
      Buffer.of(Kind.bundle),
      ...records.flatMap((record) => [u32(record.length), record]),
    ]);
  }
  if (random.chance(0.2)) {
    const pad = random.between(2, 40);
    bytes = Buffer.concat([bytes, Buffer.alloc(pad - 2), Buffer.of(pad >> 8, pad & 0xff)]);
    bytes[4]! |= 0x80;
  }
  return random.chance(0.2) ? Buffer.from(mutated(random, bytes)) : bytes;
}

/** The records of a plaintext, as PROTOCOL.md has it; `broken` where the connection ends then. */
function model(bytes: Buffer, first: boolean): { records: Seen[]; broken: boolean } {
  const sequence = bytes.readUInt32BE(0);
  let kind = bytes[4]!;
  let body = bytes.subarray(5);
  if (kind >= 0x80) {
    kind -= 0x80;
    const pad = body.length >= 2 ? body.readUInt16BE(body.length - 2) : 0;
    if (pad < 2 || pad > body.length) return { records: [], broken: true };
    body = body.subarray(0, body.length - pad);
  }
  if (kind !== Kind.bundle) return { records: [{ sequence, kind, body }], broken: false };
  const records: Seen[] = [];
  if (body.length === 0 || first) return { records, broken: true };
  for (let at = 0; at < body.length; ) {
    if (at + 9 > body.length) return { records, broken: true };
    const next = at + 4 + body.readUInt32BE(at);
    if (next < at + 9 || next > body.length) return { records, broken: true };
    records.push({
      sequence: body.readUInt32BE(at + 4),
      kind: body[at + 8]!,
      body: body.subarray(at + 9, next),
    });
    at = next;
  }
  return { records, broken: false };
}

/** Keeps what it is handed, and is not always ready. */
class Handler implements RecordHandler {
  readonly seen: Seen[] = [];
  stopped = false;
  proofs = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get ready(): boolean {
    return this.#random.chance(0.9);
  }

  proven(): void {
    this.proofs++;
  }

  record(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(start <= end && end <= bytes.length, `a body from ${start} to ${end} of ${bytes.length}`);
    this.seen.push({ sequence, kind, body: Buffer.from(bytes.slice(start, end)) });
  }
}

function oneStream(random: Random): number {
  const key = Uint8Array.from({ length: 32 }, () => random.between(0, 255));
  const cipher = aes256gcm(key);
  const keys = { sendKey: new Uint8Array(32), receiveKey: key.slice() };
  const session = new Session(keys as never, format, random.pick(["wasm", "auto", "native"] as const));
  const handler = new Handler(random);
  const backlog = new Backlog(handler);
  const options = {
    withKind: true,
    firstAlone: true,
    role: "server" as const,
    bodyViews: random.chance(0.5),
  };
  const reader = new FrameReader(new FrameOpener(session, options, backlog), 21, MAX_FRAME_BYTES);
  const expected: Seen[] = [];
  const frames: Buffer[] = [];
  let broken = false;
  let mustFail = false;
  const count = random.between(1, 12);
  for (let i = 0; i < count; i++) {
    const text = plaintext(random, i === 0);
    const nonce = Buffer.concat([u32(0), u32(0), u32(i)]);
    const sealed = Buffer.from(cipher.seal(nonce, text));
    let frame: Uint8Array = Buffer.concat([u32(sealed.length), sealed]);
    const forged = random.chance(0.05);
    if (forged) frame = mutated(random, frame);
    const honest = Buffer.concat([u32(sealed.length), sealed]);
    const whole = Buffer.from(frame).subarray(0, honest.length).equals(honest);
    frames.push(Buffer.from(frame));
    if (broken) continue;
    if (!whole || sealed.length < 21) {
      broken = true;
      // One of the same length is complete, so that nothing excuses it.
      const sameLength =
        frame.length === honest.length && Buffer.from(frame).subarray(0, 4).equals(u32(sealed.length));
      mustFail = sameLength;
    } else {
      const told = model(text, i === 0);
      expected.push(...told.records);
      // Bytes that were added stand where the next frame begins.
      mustFail = told.broken;
      broken = told.broken || frame.length > honest.length;
    }
  }
  cipher.destroy();
  let failed = false;
  try {
    for (const piece of split(random, Buffer.concat(frames))) {
      if (piece.length <= 65_536 && random.chance(0.5)) {
        memory.set(piece, RECEIVE_WINDOW);
        reader.readWindow(piece.length);
      } else reader.read(piece);
    }
    for (let i = 0; i < 1_000 && !backlog.isEmpty; i++) backlog.drain();
  } catch (error) {
    failed = true;
    assert.equal((error as Error).name, "SealwireError", (error as Error).stack);
  }
  // What was cut off at the end of a forged stream may be waited for.
  if (!broken) assert.equal(failed, false, "a stream without a fault was refused");
  if (mustFail) assert.equal(failed, true, "a forged or malformed frame was taken");
  const seen = handler.seen.map(
    ({ sequence, kind, body }) => `${sequence} ${kind} ${body.toString("base64")}`,
  );
  const wanted = expected.map(({ sequence, kind, body }) => `${sequence} ${kind} ${body.toString("base64")}`);
  // A failure ends everything at once: what waited is not handed on.
  assert.deepEqual(seen, wanted.slice(0, failed ? seen.length : wanted.length));
  assert.ok(handler.proofs <= 1);
  reader.stop();
  backlog.clear();
  session.destroy();
  wipeReceiveMemory();
  assert.equal(slotsInUse(), 0);
  return count;
}

export const framesLevel: Level = {
  name: "frames",
  round(random) {
    let inputs = 0;
    for (let i = 0; i < 20; i++) inputs += oneStream(random);
    return inputs;
  },
};
