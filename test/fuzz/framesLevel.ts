// Frames as a peer that holds the keys may make them, and as somebody on the way may change them, in any
// pieces. A parser of its own says which records have to come of them, byte for byte.

import assert from "node:assert/strict";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { memory, RECEIVE_BUFFER } from "../../src/core/wasmModule.ts";
import { aes256gcm, chacha20poly1305 } from "../../src/crypto.ts";
import { Backlog, type RecordHandler } from "../../src/protocol/backlog.ts";
import { FrameOpener } from "../../src/protocol/frameOpener.ts";
import { FrameReader } from "../../src/protocol/frameReader.ts";
import type { CipherName } from "../../src/protocol/handshake.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import { wipeReceiveMemory } from "../../src/protocol/receiveMemory.ts";
import { Session } from "../../src/protocol/session.ts";
import { Kind } from "../../src/protocol/wire.ts";
import type { Random } from "../simulation/random.ts";
import { codeOf, joined, type Level, mutated, someBytes, split } from "./level.ts";

const MAX_FRAME_BYTES = 100_000;
const { format } = noise({ psk: new Uint8Array(32).fill(1) }, "server");

interface Seen {
  readonly sequence: number;
  readonly kind: number;
  readonly body: Uint8Array;
}

const u32 = (value: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Any kind of protocol v2, sometimes one that is reserved or not assigned. */
const anyKind = (random: Random): number =>
  random.chance(0.9) ? random.between(0, Kind.blocked) : random.between(0, 127);

/** What each direction begins with: settings alone. */
const settings = (random: Random): Uint8Array =>
  joined(u32(0), Uint8Array.of(Kind.settings, 1, 0, 4), u32(random.word()));

/** A plaintext: mostly well formed. */
function plaintext(random: Random, first: boolean): Uint8Array<ArrayBuffer> {
  if (first && random.chance(0.8)) return new Uint8Array(settings(random));
  const message = (): Uint8Array<ArrayBuffer> =>
    joined(
      u32(random.between(0, 9)),
      Uint8Array.of(anyKind(random)),
      someBytes(random, random.pick([3, 3, 60, 60, 60, 9_000])),
    );
  let bytes = message();
  if (random.chance(0.5)) {
    const records = Array.from({ length: random.between(0, 6) }, message);
    const bundled = records.flatMap((record) => [u32(record.length), record]);
    bytes = joined(u32(0), Uint8Array.of(Kind.bundle), ...bundled);
  }
  if (random.chance(0.2)) {
    const pad = random.between(2, 40);
    bytes = joined(bytes, new Uint8Array(pad - 2), Uint8Array.of(pad >> 8, pad & 0xff));
    bytes[4]! |= 0x80;
  }
  return random.chance(0.2) ? mutated(random, bytes) : bytes;
}

/** The records of a plaintext, as PROTOCOL.md has it; `broken` where the connection ends then. */
function model(plain: Uint8Array, first: boolean): { records: Seen[]; broken: boolean } {
  const bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
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
    this.seen.push({ sequence, kind, body: new Uint8Array(bytes.subarray(start, end)) });
  }
}

/** Frames as they go over the wire, and what has to come of them. */
interface Story {
  readonly frames: Uint8Array[];
  readonly expected: Seen[];
  /** Somewhere the connection ends. */
  broken: boolean;
  /** That has to be said: no bytes that are missing excuse it. */
  mustFail: boolean;
}

/** Half of the keys are those of each cipher. */
const cipherOf = (key: Uint8Array): CipherName => ((key[0]! & 1) === 0 ? "AESGCM" : "ChaChaPoly");

function storyOf(random: Random, key: Uint8Array, count: number): Story {
  const isChaCha = cipherOf(key) === "ChaChaPoly";
  const cipher = isChaCha ? chacha20poly1305(key, "wasm") : aes256gcm(key, "wasm");
  const story: Story = { frames: [], expected: [], broken: false, mustFail: false };
  for (let i = 0; i < count; i++) {
    const text = plaintext(random, i === 0);
    const nonce = joined(u32(0), u32(0), u32(i));
    if (isChaCha) nonce.subarray(4).reverse();
    const sealed = cipher.seal(nonce, text);
    const honest = joined(u32(sealed.length), sealed);
    const frame = random.chance(0.05) ? mutated(random, honest) : honest;
    story.frames.push(frame);
    if (!story.broken) tellFrame(story, { text, honest, frame, sealedBytes: sealed.length, first: i === 0 });
  }
  cipher.destroy();
  return story;
}

interface SentFrame {
  readonly text: Uint8Array;
  readonly honest: Uint8Array;
  readonly frame: Uint8Array;
  readonly sealedBytes: number;
  readonly first: boolean;
}

function tellFrame(story: Story, { text, honest, frame, sealedBytes, first }: SentFrame): void {
  const whole = equal(frame.subarray(0, honest.length), honest);
  if (!whole || sealedBytes < 21) {
    story.broken = true;
    // One of the same length is complete, so that nothing excuses it.
    const sameLength = frame.length === honest.length && equal(frame.subarray(0, 4), u32(sealedBytes));
    story.mustFail = sameLength;
    return;
  }
  const told = model(text, first);
  story.expected.push(...told.records);
  // Bytes that were added stand where the next frame begins.
  story.mustFail = told.broken;
  story.broken = told.broken || frame.length > honest.length;
}

function oneStream(random: Random): number {
  const key = random.bytes(32);
  const count = random.between(1, 12);
  const story = storyOf(random, key, count);
  const keys = { sendKey: new Uint8Array(32), receiveKey: key, cipher: cipherOf(key) };
  // The runtime's ciphers cost more to make than all that is opened with them here.
  const engine = random.chance(0.9) ? "wasm" : random.pick(["auto", "native"] as const);
  const session = new Session(keys as never, format, engine);
  const handler = new Handler(random);
  const backlog = new Backlog(handler);
  const options = {
    withKind: true,
    firstAlone: true,
    role: "server" as const,
    bodyViews: random.chance(0.5),
  };
  const reader = new FrameReader(new FrameOpener(session, options, backlog), 21, MAX_FRAME_BYTES);
  const failed = readAll(random, reader, backlog, joined(...story.frames));
  judge(story, handler, failed);
  reader.stop();
  backlog.clear();
  session.destroy();
  wipeReceiveMemory();
  assert.equal(slotsInUse(), 0);
  return count;
}

/** Whether the connection would have ended. */
function readAll(random: Random, reader: FrameReader, backlog: Backlog, bytes: Uint8Array): boolean {
  try {
    for (const piece of split(random, bytes)) {
      if (piece.length <= 65_536 && random.chance(0.5)) {
        memory.set(piece, RECEIVE_BUFFER);
        reader.takeReceiveBuffer(piece.length);
      } else reader.read(piece);
    }
    for (let i = 0; i < 1_000 && !backlog.isEmpty; i++) backlog.drain();
  } catch (error) {
    codeOf(error);
    return true;
  }
  return false;
}

function judge({ broken, mustFail, expected }: Story, { seen, proofs }: Handler, failed: boolean): void {
  // What was cut off at the end of a forged stream may be waited for.
  if (!broken) assert.equal(failed, false, "a stream without a fault was refused");
  if (mustFail) assert.equal(failed, true, "a forged or malformed frame was taken");
  // A failure ends everything at once: what waited is not handed on.
  if (failed) assert.ok(seen.length <= expected.length, "more records than were sent");
  else assert.equal(seen.length, expected.length, "another number of records than were sent");
  for (const [at, { sequence, kind, body }] of seen.entries()) {
    const wanted = expected[at]!;
    assert.equal(`${sequence} ${kind}`, `${wanted.sequence} ${wanted.kind}`);
    assert.ok(equal(body, wanted.body), `the body of record ${at} is another`);
  }
  assert.ok(proofs <= 1);
}

export const framesLevel: Level = { name: "frames", run: oneStream };
