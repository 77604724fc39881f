// Frames that a peer with the keys may make, and frames that an attacker on the way may change, in any pieces. A
// separate parser predicts the records that come of them, byte for byte.

import assert from "node:assert/strict";
import { writeU32 } from "../../src/core/bytes.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { memory, RECEIVE_BUFFER } from "../../src/core/wasmModule.ts";
import { type Aes256Gcm, aes256gcm, chacha20poly1305 } from "../../src/crypto.ts";
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

/** A record that the peer sent. */
interface Sent {
  readonly sequence: number;
  readonly kind: number;
  readonly body: Uint8Array;
}

const u32 = (value: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
const bundleHeader = joined(u32(0), Uint8Array.of(Kind.bundle));
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Any kind of protocol v2, sometimes one that is reserved or not assigned. */
const anyKind = (random: Random): number =>
  random.chance(0.9) ? random.between(0, Kind.blocked) : random.between(0, 127);

/** What each direction begins with: settings alone. */
const settings = (random: Random): Uint8Array =>
  joined(u32(0), Uint8Array.of(Kind.settings, 1, 0, 4), u32(random.word()));

/** A record behind `front` bytes that are left free. */
function message(random: Random, front: number): Uint8Array<ArrayBuffer> {
  const most = random.chance(0.04) ? 9_000 : random.pick([3, 3, 60]);
  const sequence = random.between(0, 9);
  const kind = anyKind(random);
  const body = someBytes(random, most);
  const record = new Uint8Array(front + 5 + body.length);
  record[front + 3] = sequence;
  record[front + 4] = kind;
  record.set(body, front + 5);
  return record;
}

/** A plaintext: mostly well formed. */
function plaintext(random: Random, first: boolean): Uint8Array<ArrayBuffer> {
  if (first && random.chance(0.8)) return new Uint8Array(settings(random));
  let bytes: Uint8Array<ArrayBuffer>;
  if (random.chance(0.5)) {
    const records = Array.from({ length: random.between(0, 6) }, () => message(random, 4));
    for (const record of records) writeU32(record, 0, record.length - 4);
    bytes = joined(bundleHeader, ...records);
  } else bytes = message(random, 0);
  if (random.chance(0.2)) {
    const pad = random.between(2, 40);
    bytes = joined(bytes, new Uint8Array(pad - 2), Uint8Array.of(pad >> 8, pad & 0xff));
    bytes[4]! |= 0x80;
  }
  return random.chance(0.2) ? mutated(random, bytes) : bytes;
}

/** The records of a plaintext, as PROTOCOL.md has it; `broken` where the connection ends then. */
function model(plain: Uint8Array, first: boolean): { records: Sent[]; broken: boolean } {
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
  const records: Sent[] = [];
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

/** Holds what it is handed against what was sent, and is not always ready. */
class Handler implements RecordHandler {
  seen = 0;
  stopped = false;
  proofs = 0;
  readonly #random: Random;
  readonly #expected: readonly Sent[];

  constructor(random: Random, expected: readonly Sent[]) {
    this.#random = random;
    this.#expected = expected;
  }

  get ready(): boolean {
    return this.#random.chance(0.9);
  }

  proven(): void {
    this.proofs++;
  }

  run(_bytes: Uint8Array, start: number): number {
    return start;
  }

  record(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(start <= end && end <= bytes.length, `a body from ${start} to ${end} of ${bytes.length}`);
    assert.ok(this.seen < this.#expected.length, "more records than were sent");
    const wanted = this.#expected[this.seen++]!;
    if (sequence !== wanted.sequence || kind !== wanted.kind)
      assert.equal(`${sequence} ${kind}`, `${wanted.sequence} ${wanted.kind}`);
    if (!equal(bytes.subarray(start, end), wanted.body))
      assert.fail(`the body of record ${this.seen - 1} is another`);
  }
}

/** Frames of one connection as they go over the wire, and what has to come of them. */
interface Story {
  readonly frames: Uint8Array[];
  /** The last of them, as it was sealed. */
  honest: Uint8Array;
  readonly expected: Sent[];
  /** Frames that are there as they were sealed: the session opens so many. */
  opened: number;
  /** Somewhere the connection ends. */
  broken: boolean;
  /** That has to be said: no bytes that are missing excuse it. */
  mustFail: boolean;
}

/** Half of the keys are those of each cipher. */
const cipherOf = (key: Uint8Array): CipherName => ((key[0]! & 1) === 0 ? "AESGCM" : "ChaChaPoly");

/** Seals as the peer does: under the same key and with the same counter as the session that opens. */
class Sealer {
  /** Of the next frame. */
  counter = 0;
  readonly #cipher: Aes256Gcm;
  readonly #nonce = new Uint8Array(12);
  readonly #isLittle: boolean;

  constructor(key: Uint8Array) {
    this.#isLittle = cipherOf(key) === "ChaChaPoly";
    this.#cipher = this.#isLittle ? chacha20poly1305(key, "wasm") : aes256gcm(key, "wasm");
  }

  /** The next frame, should it be opened. */
  seal(text: Uint8Array, ahead: number): Uint8Array<ArrayBuffer> {
    this.#nonce[this.#isLittle ? 4 : 11] = this.counter + ahead;
    const sealed = this.#cipher.seal(this.#nonce, text);
    const frame = new Uint8Array(4 + sealed.length);
    writeU32(frame, 0, sealed.length);
    frame.set(sealed, 4);
    return frame;
  }

  destroy(): void {
    this.#cipher.destroy();
  }
}

/** Up to `most` frames, of which only the last one may be the end of its connection. */
function storyOf(random: Random, sealer: Sealer, most: number): Story {
  const story: Story = {
    frames: [],
    honest: new Uint8Array(0),
    expected: [],
    opened: 0,
    broken: false,
    mustFail: false,
  };
  for (let i = 0; i < most && !story.broken; i++) {
    const text = plaintext(random, i === 0);
    const honest = sealer.seal(text, i);
    const frame = random.chance(0.05) ? mutated(random, honest) : honest;
    story.frames.push(frame);
    story.honest = honest;
    tellFrame(story, text, honest, frame);
  }
  return story;
}

function tellFrame(story: Story, text: Uint8Array, honest: Uint8Array, frame: Uint8Array): void {
  const whole = frame === honest || equal(frame.subarray(0, honest.length), honest);
  const sealedBytes = honest.length - 4;
  if (!whole || sealedBytes < 21) {
    story.broken = true;
    // One of the same length is complete, so that nothing excuses it.
    story.mustFail = frame.length === honest.length && equal(frame.subarray(0, 4), u32(sealedBytes));
    return;
  }
  const told = model(text, story.opened === 0);
  story.opened++;
  story.expected.push(...told.records);
  // Bytes that were added stand where the next frame begins.
  story.mustFail = told.broken;
  story.broken = told.broken || frame.length > honest.length;
}

/** The longest session, in frames; a nonce's last byte counts them. */
const MOST_FRAMES = 120;

/**
 * Connections one after the other, until so many frames were read: each ends at its first frame that is not as it should be. They
 * have the keys of one session, whose counter goes on with each frame that opened, since keys cost more than frames.
 */
function oneSession(random: Random): number {
  const key = random.bytes(32);
  const most = random.between(1, random.pick([5, 30, MOST_FRAMES]));
  // The runtime's ciphers cost more to make than all that is opened with them here.
  const engine = random.chance(0.96) ? "wasm" : random.pick(["auto", "native"] as const);
  const sealer = new Sealer(key);
  const keys = { sendKey: new Uint8Array(32), receiveKey: new Uint8Array(key), cipher: cipherOf(key) };
  const session = new Session(keys as never, format, engine);
  let count = 0;
  for (let goesOn = true; goesOn && count < most; ) {
    const story = storyOf(random, sealer, Math.min(random.between(1, 12), most - count));
    count += story.frames.length;
    // Whoever was refused may go on sending. Where the broken frame was left out, what follows is not the next one either.
    goesOn = !story.broken || random.chance(0.9);
    if (!goesOn)
      sendOneMore(story, sealer.seal(plaintext(random, false), story.opened + random.between(1, 3)));
    oneConnection(random, session, story);
    sealer.counter += story.opened;
  }
  session.destroy();
  sealer.destroy();
  wipeReceiveMemory();
  assert.equal(slotsInUse(), 0);
  return count;
}

/** A frame behind the broken one, unless its first bytes happen to be those that the broken one lost at its end. */
function sendOneMore({ frames, honest }: Story, next: Uint8Array): void {
  const last = frames.at(-1)!;
  const isMended =
    last.length < honest.length && equal(joined(last, next).subarray(0, honest.length), honest);
  if (!isMended) frames.push(next);
}

function oneConnection(random: Random, session: Session, story: Story): void {
  const handler = new Handler(random, story.expected);
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
  if (!broken && failed) assert.fail("a stream without a fault was refused");
  if (mustFail && !failed) assert.fail("a forged or malformed frame was taken");
  // A failure ends everything at once: what waited is not handed on.
  if (!failed && seen !== expected.length)
    assert.equal(seen, expected.length, "fewer records than were sent");
  assert.ok(proofs <= 1);
}

export const framesLevel: Level = { name: "frames", run: oneSession };
