// Segments: all records that are laid out in frames, alone or in bundles, are there when the frames are read back by
// the rules of docs/PROTOCOL.md. No frame is longer than it may be.

import assert from "node:assert/strict";
import { acquireSlot, releaseSlot, slotsInUse } from "../../../src/core/slotPool.ts";
import { memory } from "../../../src/core/wasmModule.ts";
import {
  type Framing,
  longestBody,
  paddedBytes,
  SEGMENT_BYTES,
  SEGMENT_FRAME_BYTES,
  Segment,
} from "../../../src/protocol/segment.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";

onAfterEachTest(() => assert.equal(slotsInUse(), 0));

const TAG_BYTES = 16;
/** Length, sequence, kind: what a body takes as a record. */
const RECORD_FRONT_BYTES = 9;
/** The bundle's own length and header, and its tag. */
const BUNDLE_OWN_BYTES = 9 + TAG_BYTES;
/** The limit of bundles in most of these tests, so that a segment holds several; the default is a whole segment. */
const BUNDLE_BYTES = 16_384;
/** The longest plaintext of such a bundle, and the longest record that is put into one. */
const MAX_BUNDLE_PLAINTEXT = BUNDLE_BYTES - TAG_BYTES;
const MAX_RECORD = MAX_BUNDLE_PLAINTEXT / 2;

/** The length of the first frame is here in a slot, so that its text lies 64 bytes behind a page. */
const FIRST_FRAME_AT = 60;

const plainV2: Framing = { withKind: true, padding: 0, maxFrameBytes: 1_048_576, bundleBytes: BUNDLE_BYTES };

interface Laid {
  sequence: number;
  kind: number;
  body: Uint8Array;
}

interface Frame {
  /** Of the sealed part: plaintext and tag. */
  sealedBytes: number;
  bundle: boolean;
  messages: Laid[];
}

let laidOut = 0;

/** A message of this length that no other one equals. */
function message(length: number, kind: number = Kind.message): Laid {
  const number = ++laidOut;
  const body = new Uint8Array(length);
  for (let i = 0; i < length; i++) body[i] = number * 31 + i * 7 + (i >>> 8);
  return { sequence: (number * 0x01020305) >>> 0, kind, body };
}

/** Runs `use` with a segment in a slot whose old content and neighbourhood are checked to stay as they were. */
function withSegment(framing: Framing, use: (segment: Segment, slot: number) => void): void {
  const slot = acquireSlot();
  assert.ok(slot > 0);
  memory.fill(0xa5, slot, slot + SEGMENT_BYTES);
  const before = memory.slice(slot - 64, slot);
  const after = memory.slice(slot + SEGMENT_BYTES, slot + SEGMENT_BYTES + 64);
  try {
    const segment = new Segment(framing);
    segment.use(slot);
    use(segment, slot);
    assert.deepEqual(memory.slice(slot - 64, slot), before, "bytes in front of the slot");
    assert.deepEqual(
      memory.slice(slot + SEGMENT_BYTES, slot + SEGMENT_BYTES + 64),
      after,
      "bytes behind the slot",
    );
  } finally {
    releaseSlot(slot, SEGMENT_BYTES);
  }
}

/** Appends until one does not fit; returns how many did. */
function appendAll(segment: Segment, messages: readonly Laid[]): number {
  for (const [i, { sequence, kind, body }] of messages.entries()) {
    if (!segment.append(sequence, kind, body)) return i;
    assert.equal(segment.isEmpty, false);
  }
  return messages.length;
}

function takePadding(plaintext: Uint8Array): Uint8Array {
  if (plaintext[4]! < 0x80) return plaintext;
  const padBytes = (plaintext.at(-2)! << 8) | plaintext.at(-1)!;
  assert.ok(padBytes >= 2 && padBytes <= plaintext.length - 5);
  const zeros = plaintext.subarray(plaintext.length - padBytes, plaintext.length - 2);
  assert.ok(
    zeros.every((byte) => byte === 0),
    "padding is zeros",
  );
  const bare = plaintext.slice(0, plaintext.length - padBytes);
  bare[4]! -= 0x80;
  return bare;
}

/** Reads [start, end) by the rules of the document. */
function readBack(segment: Segment, framing: Framing): Frame[] {
  const frames: Frame[] = [];
  const view = new DataView(memory.buffer);
  let at = segment.start;
  while (at < segment.end) {
    const sealedBytes = view.getUint32(at);
    const next = at + 4 + sealedBytes;
    assert.ok(next <= segment.end, "a frame beyond the segment");
    assert.ok(sealedBytes <= framing.maxFrameBytes, `a frame of ${sealedBytes} bytes`);
    const plaintext = memory.slice(at + 4, next - TAG_BYTES);
    const sequence = view.getUint32(at + 4);
    at = next;
    if (!framing.withKind) {
      frames.push({
        sealedBytes,
        bundle: false,
        messages: [{ sequence, kind: 0, body: plaintext.slice(4) }],
      });
      continue;
    }
    if (framing.padding > 0) {
      assert.equal(plaintext.length % framing.padding, 0, "not a multiple of the padding");
      assert.ok(plaintext[4]! >= 0x80, "the flag is set");
    }
    const bare = takePadding(plaintext);
    if (bare[4] !== Kind.bundle) {
      frames.push({
        sealedBytes,
        bundle: false,
        messages: [{ sequence, kind: bare[4]!, body: bare.slice(5) }],
      });
      continue;
    }
    assert.equal(sequence, 0);
    assert.ok(sealedBytes <= framing.bundleBytes, "a bundle that is too long");
    frames.push({ sealedBytes, bundle: true, messages: readRecords(bare.subarray(5)) });
  }
  assert.equal(at, segment.end);
  assert.equal(frames.length, segment.frames);
  return frames;
}

function readRecords(bytes: Uint8Array): Laid[] {
  const messages: Laid[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const next = at + 4 + view.getUint32(at);
    assert.ok(next >= at + RECORD_FRONT_BYTES && next <= bytes.length);
    messages.push({
      sequence: view.getUint32(at + 4),
      kind: bytes[at + 8]!,
      body: bytes.slice(at + 9, next),
    });
    at = next;
  }
  assert.ok(messages.length >= 2, "a bundle of less than two");
  return messages;
}

/** Lays the messages out and reads them back, the same ones in the same order; returns the frames. */
function check(framing: Framing, messages: readonly Laid[], all = true): Frame[] {
  let frames: Frame[] = [];
  withSegment(framing, (segment, slot) => {
    assert.equal(segment.isEmpty, true);
    const count = appendAll(segment, messages);
    if (all) assert.equal(count, messages.length);
    segment.finish();
    assert.ok(segment.start >= slot && segment.end <= slot + SEGMENT_BYTES);
    frames = readBack(segment, framing);
    const expected = messages.slice(0, count);
    const found = frames.flatMap((frame) => frame.messages);
    assert.equal(found.length, count);
    for (const [i, { sequence, kind, body }] of expected.entries()) {
      assert.equal(found[i]!.sequence, sequence);
      assert.equal(found[i]!.kind, framing.withKind ? kind : 0);
      assert.equal(Buffer.compare(found[i]!.body, body), 0, `body ${i} of ${body.length} bytes`);
    }
    // Finished is finished.
    const { end } = segment;
    segment.finish();
    assert.equal(segment.end, end);
  });
  return frames;
}

const shape = (frames: Frame[]): (number | string)[] =>
  frames.map(({ bundle, messages }) => (bundle ? messages.length : "alone"));

test("one message of any length is a frame of its own, as without bundles", () => {
  for (const length of [
    0,
    1,
    31,
    32,
    33,
    100,
    MAX_RECORD - 10,
    MAX_RECORD - 9,
    MAX_RECORD - 8,
    20_000,
    32_747,
  ]) {
    const frames = check(plainV2, [message(length)]);
    assert.deepEqual(shape(frames), ["alone"], `${length}`);
    assert.equal(frames[0]!.sealedBytes, 5 + length + TAG_BYTES);
  }
});

test("the first frame begins 9 bytes later when the first message stays alone, and only then", () => {
  const cases: [lengths: number[], start: number][] = [
    [[0], 9],
    [[100], 9],
    [[100, 9_000], 9],
    [[100, 100], 0],
    [[100, 100, 9_000], 0],
    [[9_000, 100], 0],
    [[9_000], 0],
  ];
  for (const [lengths, shift] of cases) {
    const messages = lengths.map((length) => message(length));
    check(plainV2, messages);
    withSegment(plainV2, (segment, slot) => {
      appendAll(segment, messages);
      segment.finish();
      assert.equal(segment.start, slot + FIRST_FRAME_AT + shift, lengths.join(", "));
    });
  }
});

test("small messages share frames; every kind keeps its place", () => {
  const kinds = [
    Kind.message,
    Kind.reply,
    Kind.error,
    Kind.cancel,
    Kind.ping,
    Kind.pong,
    Kind.drain,
    Kind.close,
  ];
  const messages = kinds.flatMap((kind, i) => [message(i * 11, kind), message(0, kind)]);
  const frames = check(plainV2, messages);
  assert.deepEqual(shape(frames), [16]);
  const bodies = messages.reduce((sum, { body }) => sum + body.length, 0);
  assert.equal(4 + frames[0]!.sealedBytes, BUNDLE_OWN_BYTES + 16 * RECORD_FRONT_BYTES + bodies);
});

test("records around half a bundle, in every order", () => {
  const lengths = [0, 50, MAX_RECORD - 10, MAX_RECORD - 9, MAX_RECORD - 8, MAX_RECORD];
  for (const first of lengths) {
    for (const second of lengths) {
      for (const third of lengths) {
        const frames = check(plainV2, [message(first), message(second), message(third)]);
        for (const { bundle, messages } of frames) {
          for (const { body } of messages)
            if (bundle) assert.ok(RECORD_FRONT_BYTES + body.length <= MAX_RECORD);
        }
        if (first <= 50 && second <= 50 && third <= 50) assert.deepEqual(shape(frames), [3]);
        if (second > MAX_RECORD - 9) assert.deepEqual(shape(frames), ["alone", "alone", "alone"]);
      }
    }
  }
});

test("a bundle is filled to its limit exactly, and not beyond", () => {
  // The bundle's header and two records fill the plaintext: one byte more begins another frame.
  const room = MAX_BUNDLE_PLAINTEXT - 5 - 2 * RECORD_FRONT_BYTES;
  const first = MAX_RECORD - 9;
  for (const [second, expected] of [
    [room - first - 1, [2]],
    [room - first, [2]],
    [room - first + 1, ["alone", "alone"]],
  ] as const) {
    const frames = check(plainV2, [message(first), message(second)]);
    assert.deepEqual(shape(frames), expected, `${second}`);
    if (second === room - first) assert.equal(frames[0]!.sealedBytes, BUNDLE_BYTES);
  }
});

test("a segment is filled to its last bytes and refuses what does not fit", () => {
  // Each: lengths that are appended again and again until one is refused.
  for (const lengths of [
    [0],
    [1],
    [10],
    [55, 1],
    [1_000],
    [8_100],
    [3, 8_174, 8_175, 8_176],
    [16_000],
    [32_747],
    [30_000, 0],
  ]) {
    const average = lengths.reduce((sum, length) => sum + length, RECORD_FRONT_BYTES) / lengths.length;
    const enough = Math.ceil((1.2 * SEGMENT_BYTES) / average);
    const messages = Array.from({ length: enough }, (_, i) => message(lengths[i % lengths.length]!));
    const frames = check(plainV2, messages, false);
    const laid = frames.reduce((sum, frame) => sum + frame.messages.length, 0);
    const bytes = frames.reduce((sum, frame) => sum + 4 + frame.sealedBytes, 0);
    assert.ok(laid < enough);
    const longest = Math.max(...lengths);
    const unused = SEGMENT_BYTES - FIRST_FRAME_AT - bytes;
    assert.ok(unused < longest + RECORD_FRONT_BYTES + BUNDLE_OWN_BYTES, `${lengths}: ${unused} bytes unused`);
  }
});

test("after a refusal the segment takes what still fits, and is used again from its beginning", () => {
  withSegment(plainV2, (segment, slot) => {
    const taken: Laid[] = [];
    for (let i = 0; i < 2; i++) {
      taken.push(message(32_000));
      assert.equal(segment.append(taken[i]!.sequence, taken[i]!.kind, taken[i]!.body), true);
    }
    const refused = message(5_000);
    assert.equal(segment.append(refused.sequence, refused.kind, refused.body), false);
    const small = [message(100), message(200)];
    assert.equal(appendAll(segment, small), 2);
    segment.finish();
    const frames = readBack(segment, plainV2);
    assert.deepEqual(shape(frames), ["alone", "alone", 2]);
    assert.deepEqual(
      frames.flatMap((frame) => frame.messages),
      [...taken, ...small],
    );
    // An open bundle of before does not reach into the next use.
    segment.use(slot);
    assert.equal(segment.isEmpty, true);
    appendAll(segment, small);
    segment.use(slot);
    assert.equal(segment.isEmpty, true);
    segment.finish();
    assert.equal(segment.frames, 0);
    appendAll(segment, taken.slice(0, 1));
    segment.finish();
    assert.deepEqual(
      readBack(segment, plainV2).flatMap((frame) => frame.messages),
      taken.slice(0, 1),
    );
  });
});

test("bundles up to a whole segment, of any limit, and none at all", () => {
  const messages = Array.from({ length: 2_000 }, (_, i) => message((i * 13) % 100));
  for (const bundleBytes of [0, 1, 15, 16, 17, 38, 39, 40, 100, 4_096, 16_384, 40_000, 65_535, 65_536]) {
    const frames = check({ ...plainV2, bundleBytes }, messages, false);
    if (bundleBytes < BUNDLE_OWN_BYTES - 4 + 2 * RECORD_FRONT_BYTES)
      assert.ok(frames.every((f) => !f.bundle));
    if (bundleBytes >= 4_096) assert.ok(frames.every((frame) => frame.bundle));
    if (bundleBytes === 65_536) assert.equal(frames.length, 1);
  }
});

test("a segment without anything in it takes every message that belongs in one", () => {
  for (const bundleBytes of [0, 16_384, 65_536]) {
    for (const padding of [0, 1, 2, 64, 16_376, 20_000, 32_700, 32_736, 32_744, 32_751, 32_752]) {
      const framing = { ...plainV2, padding, bundleBytes };
      for (let length = 32_760; length > 32_640; length--) {
        if (paddedBytes(framing, 5 + length) + TAG_BYTES > SEGMENT_FRAME_BYTES) continue;
        check(framing, [message(length)]);
      }
    }
  }
});

test("padding: frames are multiples, alone or bundled; records are bare", () => {
  for (const padding of [1, 2, 3, 64, 100, 256, 1_000, 4_096, 16_000, 16_368, 20_000, 32_752]) {
    const framing = { ...plainV2, padding };
    const fits = (length: number): boolean =>
      paddedBytes(framing, 5 + length) + TAG_BYTES <= SEGMENT_FRAME_BYTES;
    for (const lengths of [
      [0],
      [padding % 997],
      [0, 0],
      [1, 2, 3, 4, 5],
      [57, 58, 59, 60, 61],
      [8_000, 8_000],
      [8_174, 8_000, 0, 8_100],
      [9_000, 9_000, 1, 1],
    ]) {
      check(
        framing,
        lengths.filter(fits).map((length) => message(length)),
        false,
      );
    }
    const many = Array.from({ length: 300 }, (_, i) => message((i * 37) % 300)).filter((m) =>
      fits(m.body.length),
    );
    const frames = check(framing, many, false);
    assert.ok(frames.some((frame) => frame.bundle) === padding <= MAX_BUNDLE_PLAINTEXT);
  }
});

test("a bundle with padding is filled to its limit exactly", () => {
  // 16,368 bytes of plaintext in 62 times 264: header 5, pad length 2.
  const framing = { ...plainV2, padding: 264 };
  const room = MAX_BUNDLE_PLAINTEXT - 5 - 2 - 2 * RECORD_FRONT_BYTES;
  const first = 8_170;
  assert.deepEqual(shape(check(framing, [message(first), message(room - first)])), [2]);
  assert.deepEqual(shape(check(framing, [message(first), message(room - first + 1)])), ["alone", "alone"]);
});

test("small limits of the peer hold for bundles", () => {
  for (const maxFrameBytes of [21, 22, 30, 43, 44, 45, 64, 100, 256, 1_000, 16_383, 16_384, 16_385]) {
    for (const [padding, bundleBytes] of [
      [0, BUNDLE_BYTES],
      [1, BUNDLE_BYTES],
      [16, BUNDLE_BYTES],
      [0, 65_536],
    ] as const) {
      const framing = { withKind: true, padding, maxFrameBytes, bundleBytes };
      const longest = maxFrameBytes - TAG_BYTES - 5;
      const messages = Array.from({ length: 200 }, (_, i) =>
        message((i * i) % Math.min(longest + 1, 300)),
      ).filter(({ body }) => paddedBytes(framing, 5 + body.length) + TAG_BYTES <= maxFrameBytes);
      const frames = check(framing, messages);
      // Two empty messages need 5 + 2 × 9 bytes of plaintext; records above half a bundle stay alone.
      if (maxFrameBytes < 39) assert.ok(frames.every((frame) => !frame.bundle));
      if (maxFrameBytes >= 64)
        assert.ok(
          frames.some((frame) => frame.bundle),
          `${maxFrameBytes}`,
        );
    }
  }
});

test("protocol v1 has no bundles: every message is a frame with a header of 4 bytes", () => {
  const framing: Framing = { withKind: false, padding: 0, maxFrameBytes: 4_096, bundleBytes: 65_536 };
  const messages = Array.from({ length: 60 }, (_, i) => message((i * 67) % 900));
  const frames = check(framing, messages);
  assert.equal(frames.length, 60);
  for (const [i, frame] of frames.entries())
    assert.equal(frame.sealedBytes, 4 + messages[i]!.body.length + TAG_BYTES);
  withSegment(framing, (segment, slot) => {
    appendAll(segment, messages);
    assert.equal(segment.start, slot + FIRST_FRAME_AT);
  });
});

test("random sizes, paddings and limits", () => {
  let state = 0x5eed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const longestOf = [0, 10, 40, 200, 2_000, 9_000, 32_747];
  for (let round = 0; round < 600; round++) {
    const framing: Framing = {
      withKind: below(8) > 0,
      padding: 0,
      maxFrameBytes: below(2) === 0 ? 1_048_576 : 21 + below(20_000),
      bundleBytes: below(2) === 0 ? 65_536 : below(65_537),
    };
    if (framing.withKind && below(2) === 0)
      Object.assign(framing, { padding: 1 + below(below(2) === 0 ? 300 : 20_000) });
    const longest = longestOf[below(longestOf.length)]!;
    const limit = Math.min(framing.maxFrameBytes, SEGMENT_FRAME_BYTES);
    const messages = Array.from({ length: 1 + below(80) }, () =>
      message(below(longest + 1), below(8)),
    ).filter(
      ({ body }) => paddedBytes(framing, (framing.withKind ? 5 : 4) + body.length) + TAG_BYTES <= limit,
    );
    check(framing, messages, false);
  }
});

test("a segment without a slot is empty, and a slot that is used again begins anew", () => {
  const segment = new Segment(plainV2);
  const fields = () => {
    const { slot, start, end, frames, cost, sealed, isEmpty } = segment;
    return { slot, start, end, frames, cost, sealed, isEmpty };
  };
  const empty = { slot: 0, start: 0, end: 0, frames: 0, cost: 0, sealed: false, isEmpty: true };
  assert.deepEqual(fields(), empty);
  segment.finish();
  assert.deepEqual(fields(), empty);
  const slot = acquireSlot();
  const begun = { ...empty, slot, start: slot + FIRST_FRAME_AT, end: slot + FIRST_FRAME_AT };
  for (let turn = 0; turn < 2; turn++) {
    segment.use(slot);
    assert.deepEqual(fields(), begun);
    // Two frames and an open bundle.
    assert.equal(appendAll(segment, [message(MAX_RECORD), message(MAX_RECORD), message(10)]), 3);
    assert.deepEqual([segment.frames, segment.isEmpty], [2, false]);
    segment.cost = 20;
    segment.sealed = true;
  }
  releaseSlot(slot, SEGMENT_BYTES);
});

test("the longest body is the longest whose frame is as long as it may be", () => {
  for (const withKind of [true, false]) {
    for (const padding of withKind ? [0, 1, 2, 16, 100, 256, 4_096] : [0]) {
      const framing: Framing = { ...plainV2, withKind, padding };
      const sealed = (bodyBytes: number) => paddedBytes(framing, (withKind ? 5 : 4) + bodyBytes) + TAG_BYTES;
      for (const sealedBytes of [8_191, 8_192, 8_208, 16_384, 1_048_576]) {
        const body = longestBody(framing, sealedBytes);
        assert.ok(sealed(body) <= sealedBytes, `${body} bytes, padding ${padding}, limit ${sealedBytes}`);
        assert.ok(
          sealed(body + 1) > sealedBytes,
          `${body + 1} bytes, padding ${padding}, limit ${sealedBytes}`,
        );
      }
    }
  }
});

test("a frame may end where the segment ends, and not a byte later", () => {
  const room = SEGMENT_BYTES - FIRST_FRAME_AT - 4 - TAG_BYTES;
  for (const bundleBytes of [0, TAG_BYTES, BUNDLE_BYTES, 65_536]) {
    const framing: Framing = { ...plainV2, bundleBytes };
    withSegment(framing, (segment, slot) => {
      assert.equal(appendAll(segment, [message(room - 5 + 1)]), 0);
      assert.equal(segment.isEmpty, true);
      assert.equal(appendAll(segment, [message(room - 5)]), 1);
      assert.equal(segment.end, slot + SEGMENT_BYTES);
      assert.equal(readBack(segment, framing).length, 1);
      assert.equal(appendAll(segment, [message(0)]), 0);
    });
  }
});

test("a bundle may end where the segment ends, and not a byte later", () => {
  const framing: Framing = { ...plainV2, bundleBytes: 65_536 };
  /** What two bodies may have together. */
  const room = SEGMENT_BYTES - FIRST_FRAME_AT - BUNDLE_OWN_BYTES - 2 * RECORD_FRONT_BYTES;
  const half = room >>> 1;
  const both = check(framing, [message(half), message(room - half)]);
  assert.deepEqual(shape(both), [2]);
  const one = check(framing, [message(half), message(room - half + 1)], false);
  assert.deepEqual(shape(one), ["alone"]);
});
