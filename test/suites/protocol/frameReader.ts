// The frame parser: every split of a stream, one byte at a time, limits, and the memory that it holds meanwhile.

import assert from "node:assert/strict";
import { readU32 } from "../../../src/core/bytes.ts";
import { MAX_PIECE_BYTES, SPARE_PIECES } from "../../../src/core/pieceMemory.ts";
import { slotsInUse } from "../../../src/core/slotPool.ts";
import {
  JOIN,
  memory,
  POOL,
  POOL_SLOT_BYTES,
  POOL_SLOTS,
  RECEIVE_BUFFER,
  RECEIVE_BUFFER_BYTES,
} from "../../../src/core/wasmModule.ts";
import { FrameReader } from "../../../src/protocol/frameReader.ts";
import type { FrameSink } from "../../../src/protocol/frameSink.ts";
import {
  MAX_SMALL_FRAME_BYTES,
  PARTIAL_SLOT_FROM_BYTES,
  PARTIAL_SLOTS,
} from "../../../src/protocol/partialFrame.ts";
import { FIRST_FRAME_AT, SEGMENT_BYTES } from "../../../src/protocol/segment.ts";
import { LENGTH_BYTES } from "../../../src/protocol/wire.ts";
import { sharedCount } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const MIN = 20;
const MAX = 200_000;

/** Frames lie in the receive buffer, where a frame is joined (one of the longest, with its length) or in a pool slot. */
function liesWhereFramesMay(start: number, end: number): boolean {
  const within = (from: number, bytes: number) => start >= from && end <= from + bytes;
  return (
    within(RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES) ||
    within(JOIN, LENGTH_BYTES + MAX_SMALL_FRAME_BYTES) ||
    within(POOL, POOL_SLOTS * POOL_SLOT_BYTES)
  );
}

/** Keeps copies of the frames it gets. */
class Collector implements FrameSink {
  readonly bodies: Uint8Array[] = [];
  largestBatch = 0;

  frames(start: number, end: number, count: number): void {
    assert.ok(liesWhereFramesMay(start, end), `frames at ${start} to ${end}`);
    this.largestBatch = Math.max(this.largestBatch, count);
    let at = start;
    for (let i = 0; i < count; i++) {
      const length = readU32(memory, at);
      this.bodies.push(memory.slice(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
      at += LENGTH_BYTES + length;
    }
    assert.equal(at, end, "frames fill the run exactly");
  }

  largeFrame(pieces: readonly Uint8Array[]): void {
    this.bodies.push(new Uint8Array(Buffer.concat(pieces)));
  }
}

function body(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7) & 0xff);
}

function streamOf(bodies: Uint8Array[]): Uint8Array {
  const stream = new Uint8Array(bodies.reduce((sum, b) => sum + LENGTH_BYTES + b.length, 0));
  let at = 0;
  for (const b of bodies) {
    new DataView(stream.buffer).setUint32(at, b.length);
    stream.set(b, at + LENGTH_BYTES);
    at += LENGTH_BYTES + b.length;
  }
  return stream;
}

/** Offers bytes the way adapters do: half of the time they are in the receive buffer already. */
function offer(reader: FrameReader, bytes: Uint8Array, inBuffer: boolean): void {
  if (inBuffer && bytes.length <= RECEIVE_BUFFER_BYTES) {
    memory.set(bytes, RECEIVE_BUFFER);
    reader.takeReceiveBuffer(bytes.length);
  } else {
    reader.read(bytes);
  }
}

test("every split of a stream of several frames into two parts", () => {
  const bodies = [20, 21, 64, 333, 20, 1_000].map(body);
  const stream = streamOf(bodies);
  for (let split = 0; split <= stream.length; split++) {
    for (const inBuffer of [true, false]) {
      const sink = new Collector();
      const reader = new FrameReader(sink, MIN, MAX);
      offer(reader, stream.subarray(0, split), inBuffer);
      offer(reader, stream.subarray(split), inBuffer);
      assert.deepEqual(sink.bodies, bodies, `split at ${split}`);
      assert.equal(reader.insideFrame, false);
    }
  }
});

test("every split of a short stream into three parts", () => {
  const bodies = [20, 25, 20].map(body);
  const stream = streamOf(bodies);
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const sink = new Collector();
      const reader = new FrameReader(sink, MIN, MAX);
      offer(reader, stream.subarray(0, first), true);
      offer(reader, stream.subarray(first, second), true);
      offer(reader, stream.subarray(second), true);
      assert.deepEqual(sink.bodies, bodies);
    }
  }
});

test("one byte at a time, with large frames between small ones", () => {
  const bodies = [20, MAX_SMALL_FRAME_BYTES, MAX_SMALL_FRAME_BYTES + 1, 100_000, 20].map(body);
  const stream = streamOf(bodies);
  const sink = new Collector();
  const reader = new FrameReader(sink, MIN, MAX);
  for (let i = 0; i < stream.length; i++) offer(reader, stream.subarray(i, i + 1), i % 2 === 0);
  assert.deepEqual(sink.bodies, bodies);
});

test("random pieces, up to more than the receive buffer", () => {
  for (let round = 0; round < sharedCount(40); round++) {
    const bodies = Array.from({ length: 60 }, (_, i) => {
      const limit = Math.random() < 0.1 ? 150_000 : 3_000;
      return body(MIN + Math.floor(Math.random() * limit), i);
    });
    const stream = streamOf(bodies);
    const sink = new Collector();
    const reader = new FrameReader(sink, MIN, MAX);
    for (let at = 0; at < stream.length; ) {
      const take = Math.floor(Math.random() * (Math.random() < 0.3 ? 200_000 : 5_000));
      offer(reader, stream.subarray(at, at + take), Math.random() < 0.5);
      at += take;
    }
    assert.deepEqual(sink.bodies, bodies);
  }
});

test("a read of many frames is one batch", () => {
  const bodies = Array.from({ length: 500 }, (_, i) => body(MIN + (i % 50), i));
  const sink = new Collector();
  new FrameReader(sink, MIN, MAX).read(streamOf(bodies));
  assert.equal(sink.largestBatch, 500);
});

test("a length outside of the limits is refused as soon as its four bytes are in", () => {
  for (const [length, code] of [
    [0, "ERR_FRAME_TOO_SHORT"],
    [MIN - 1, "ERR_FRAME_TOO_SHORT"],
    [MAX + 1, "ERR_FRAME_TOO_LARGE"],
    [0xffffffff, "ERR_FRAME_TOO_LARGE"],
  ] as const) {
    const sink = new Collector();
    const reader = new FrameReader(sink, MIN, MAX);
    const prefix = new Uint8Array(LENGTH_BYTES);
    new DataView(prefix.buffer).setUint32(0, length);
    reader.read(streamOf([body(30, 1)]));
    reader.read(prefix.subarray(0, 3));
    assert.throws(() => reader.read(prefix.subarray(3)), { code });
    assert.equal(sink.bodies.length, 1, "what came before was delivered");
  }
});

test("the limits themselves are allowed", () => {
  const bodies = [body(MIN, 1), body(MAX, 2)];
  const sink = new Collector();
  new FrameReader(sink, MIN, MAX).read(streamOf(bodies));
  assert.deepEqual(sink.bodies, bodies);
});

test("a limit below the small-frame size holds, too", () => {
  const reader = new FrameReader(new Collector(), MIN, 100);
  assert.throws(() => reader.read(streamOf([body(101, 1)])), { code: "ERR_FRAME_TOO_LARGE" });
});

test("an announced length takes no memory before the bytes are there", () => {
  const readers: FrameReader[] = [];
  const before = process.memoryUsage().arrayBuffers;
  const prefix = new Uint8Array(LENGTH_BYTES + 1);
  new DataView(prefix.buffer).setUint32(0, 0x3fffffff);
  for (let i = 0; i < 50; i++) {
    const reader = new FrameReader(new Collector(), MIN, 0x40000000);
    reader.read(prefix);
    readers.push(reader);
  }
  const grownBytes = process.memoryUsage().arrayBuffers - before;
  assert.ok(grownBytes < 50 * 262_144, `${grownBytes} bytes for 50 announced frames of 1 GiB`);
  assert.equal(
    readers.every((reader) => reader.insideFrame),
    true,
  );
});

test("after stop nothing is delivered", () => {
  const sink = new Collector();
  const reader = new FrameReader(sink, MIN, MAX);
  reader.read(streamOf([body(30, 1)]));
  reader.stop();
  reader.read(streamOf([body(30, 2)]));
  assert.equal(sink.bodies.length, 1);
});

test("partial frames hold pool slots up to a limit, JavaScript memory beyond, and give all back", () => {
  const stream = streamOf([body(40_000, 1)]);
  const sinks = Array.from({ length: PARTIAL_SLOTS + 3 }, () => new Collector());
  const readers = sinks.map((sink) => new FrameReader(sink, MIN, MAX));
  for (const reader of readers) reader.read(stream.subarray(0, 30_000));
  assert.equal(slotsInUse(), PARTIAL_SLOTS);
  for (const [i, reader] of readers.entries()) offer(reader, stream.subarray(30_000), i % 2 === 0);
  assert.equal(slotsInUse(), 0);
  for (const sink of sinks) assert.deepEqual(sink.bodies, [body(40_000, 1)]);
});

test("a slot is given back when the reader stops, the sink throws, or the sink stops it", () => {
  const stream = streamOf([body(40_000, 1)]);
  const stopped = new FrameReader(new Collector(), MIN, MAX);
  stopped.read(stream.subarray(0, 30_000));
  assert.equal(slotsInUse(), 1);
  stopped.stop();
  assert.equal(slotsInUse(), 0);

  const failing = new Collector();
  failing.frames = () => {
    assert.equal(slotsInUse(), 1, "held while the sink uses it");
    throw new Error("refused");
  };
  const reader = new FrameReader(failing, MIN, MAX);
  reader.read(stream.subarray(0, 30_000));
  assert.throws(() => reader.read(stream.subarray(30_000)), /refused/);
  assert.equal(slotsInUse(), 0);

  const stopping = new Collector();
  const ending = new FrameReader(stopping, MIN, MAX);
  stopping.frames = () => {
    ending.stop();
    assert.equal(slotsInUse(), 1, "not given to somebody else under the sink's hands");
  };
  ending.read(stream.subarray(0, 30_000));
  ending.read(stream.subarray(30_000));
  assert.equal(slotsInUse(), 0);
});

test("which partial frames are collected in a slot: long ones that fit", () => {
  const longest = SEGMENT_BYTES - FIRST_FRAME_AT - LENGTH_BYTES;
  for (const [length, slots] of [
    [PARTIAL_SLOT_FROM_BYTES - 1, 0],
    [PARTIAL_SLOT_FROM_BYTES, 1],
    [longest, 1],
    [longest + 1, 0],
    [MAX_SMALL_FRAME_BYTES, 0],
  ] as const) {
    const sink = new Collector();
    const reader = new FrameReader(sink, MIN, MAX);
    const stream = streamOf([body(length, 1)]);
    reader.read(stream.subarray(0, -1));
    assert.equal(slotsInUse(), slots, `${length} bytes`);
    reader.read(stream.subarray(-1));
    assert.equal(slotsInUse(), 0);
    assert.deepEqual(sink.bodies, [body(length, 1)]);
  }
});

test("a slot is wiped when its frame was delivered or given up", () => {
  const stream = streamOf([body(40_000, 1)]);
  const bounds: [number, number][] = [];
  for (const deliver of [true, false]) {
    const sink = new Collector();
    sink.frames = (start, end) => bounds.push([start, end]);
    const reader = new FrameReader(sink, MIN, MAX);
    reader.read(stream.subarray(0, -1));
    if (deliver) reader.read(stream.subarray(-1));
    else reader.stop();
    // Both took the same slot, the last one that was given back.
    const [start, end] = bounds[0]!;
    assert.ok(memory.subarray(start, end).every((byte) => byte === 0));
  }
  assert.equal(bounds.length, 1);
});

test("pieces of large frames are used again, and no more than a limit of them is kept", () => {
  const framePieces = SPARE_PIECES + 3;
  const length = framePieces * MAX_PIECE_BYTES;
  const seen: { buffer: ArrayBufferLike; length: number }[][] = [];
  const sink = new Collector();
  sink.largeFrame = (pieces) => seen.push(pieces.map(({ buffer, length }) => ({ buffer, length })));
  const reader = new FrameReader(sink, MIN, length);
  const stream = streamOf([
    body(length, 1),
    new Uint8Array(length - 1),
    new Uint8Array(MAX_PIECE_BYTES + 100),
  ]);
  reader.read(stream);
  const [first, second, third] = seen.map((pieces) => new Set(pieces.map((piece) => piece.buffer)));
  assert.deepEqual([first!.size, second!.size, third!.size], [framePieces, framePieces, 2]);
  const reused = (pieces: Set<ArrayBufferLike>, earlier: Set<ArrayBufferLike>) =>
    [...pieces].filter((piece) => earlier.has(piece)).length;
  assert.equal(reused(second!, first!), SPARE_PIECES);
  assert.equal(seen[1]!.at(-1)!.length, MAX_PIECE_BYTES - 1);
  // The short end of the third frame has memory of its length.
  assert.equal(reused(third!, second!), 1);
  assert.equal(seen[2]![1]!.buffer.byteLength, 100);
});

test("bytes of an unfinished frame are unread from the first one to the one before the last", () => {
  for (const length of [MIN, PARTIAL_SLOT_FROM_BYTES, MAX_SMALL_FRAME_BYTES + 1]) {
    const stream = streamOf([body(length, 1)]);
    for (const at of [1, 2, 3, LENGTH_BYTES, LENGTH_BYTES + 1, stream.length - 1]) {
      const reader = new FrameReader(new Collector(), MIN, MAX);
      assert.equal(reader.insideFrame, false);
      reader.read(stream.subarray(0, at));
      assert.equal(reader.insideFrame, true, `${at} of ${stream.length} bytes`);
      reader.read(stream.subarray(at));
      assert.equal(reader.insideFrame, false);
    }
  }
});

test("a reader that was stopped keeps nothing of what comes, anywhere in a frame", () => {
  for (const length of [MIN, PARTIAL_SLOT_FROM_BYTES, MAX_SMALL_FRAME_BYTES + 1]) {
    const stream = streamOf([body(length, 1)]);
    for (const at of [1, LENGTH_BYTES, LENGTH_BYTES + 1, stream.length]) {
      const sink = new Collector();
      const reader = new FrameReader(sink, MIN, MAX);
      reader.read(stream.subarray(0, at));
      const delivered = sink.bodies.length;
      reader.stop();
      reader.read(stream);
      assert.equal(reader.insideFrame, false);
      assert.equal(sink.bodies.length, delivered);
      assert.equal(slotsInUse(), 0);
    }
  }
});

test("a frame that is too short is refused where it lies between others in one read, too", () => {
  for (const inBuffer of [true, false]) {
    for (const length of [0, 1, MIN - 1]) {
      const sink = new Collector();
      const reader = new FrameReader(sink, MIN, MAX);
      const stream = streamOf([body(30, 1), body(length, 2), body(30, 3)]);
      assert.throws(() => offer(reader, stream, inBuffer), { code: "ERR_FRAME_TOO_SHORT" });
      assert.deepEqual(sink.bodies, [body(30, 1)]);
    }
  }
});

test("frames up to the receive buffer's size come in linear memory, longer ones in pieces", () => {
  for (const [length, expected] of [
    [MAX_SMALL_FRAME_BYTES, 0],
    [MAX_SMALL_FRAME_BYTES + 1, 1],
    [MAX_PIECE_BYTES, 1],
    [MAX_PIECE_BYTES + 1, 2],
  ] as const) {
    const sink = new Collector();
    let found = 0;
    sink.largeFrame = (pieces) => {
      found = pieces.length;
    };
    new FrameReader(sink, MIN, MAX).read(streamOf([body(length, 1)]));
    assert.equal(found, expected);
    assert.equal(sink.bodies.length, expected === 0 ? 1 : 0);
  }
});

test("a read that is longer than the receive buffer writes nothing behind it", () => {
  const end = RECEIVE_BUFFER + RECEIVE_BUFFER_BYTES;
  const bodies = Array.from({ length: 300 }, (_, i) => body(1_000, i));
  const behind = memory.slice(end, end + RECEIVE_BUFFER_BYTES);
  memory.fill(0xa5, end, end + RECEIVE_BUFFER_BYTES);
  const sink = new Collector();
  new FrameReader(sink, MIN, MAX).read(streamOf(bodies));
  const untouched = memory.subarray(end, end + RECEIVE_BUFFER_BYTES).every((byte) => byte === 0xa5);
  memory.set(behind, end);
  assert.ok(untouched);
  assert.deepEqual(sink.bodies, bodies);
});
