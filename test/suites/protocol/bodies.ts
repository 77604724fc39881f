// Bodies that the application keeps: their bytes stay as they are, any typed array can be made over them, and they keep
// no more memory alive than documented.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/index.ts";
import {
  endSharing,
  frameIsShared,
  frameWasTaken,
  keepBody,
  offerFrame,
  viewBody,
} from "../../../src/protocol/bodies.ts";
import { BodyMemory, beginSharing } from "../../../src/protocol/bodyMemory.ts";
import { FrameOpener } from "../../../src/protocol/frameOpener.ts";
import { enterRead, leaveRead } from "../../../src/protocol/receiveMemory.ts";
import type { Session } from "../../../src/protocol/session.ts";
import { Kind, PADDED_FLAG, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { test } from "../../support/harness.ts";
import { concat, u32 } from "../../support/rawPeer.ts";
import { assertSameBytes, patternBytes } from "../../support/rpcHarness.ts";
import { generator } from "../../support/seeded.ts";

const EMPTY = new Uint8Array(0);
const HEADER_BYTES = 9;
const MAX_FRAME_SHARE = 64;
const SHARED_BYTES = 16_384;

/** A plaintext with these bodies, each behind a header, and where each begins. */
function frameOf(lengths: readonly number[], front: number): { plaintext: Uint8Array; starts: number[] } {
  const total = lengths.reduce((sum, length) => sum + HEADER_BYTES + length, front);
  const plaintext = new Uint8Array(total).fill(0xee);
  const starts: number[] = [];
  let at = front;
  lengths.forEach((length, i) => {
    at += HEADER_BYTES;
    starts.push(at);
    plaintext.set(patternBytes(length, i), at);
    at += length;
  });
  return { plaintext, starts };
}

/** Keeps all bodies of a frame, as the records of a bundle come. */
function keepAll(lengths: readonly number[], front = 5): { bodies: Uint8Array[]; plaintext: Uint8Array } {
  const { plaintext, starts } = frameOf(lengths, front);
  offerFrame(plaintext);
  frameIsShared();
  const bodies = lengths.map((length, i) => {
    const start = starts[i]!;
    return keepBody(plaintext, start, start + length, plaintext.length - start - length);
  });
  return { bodies, plaintext };
}

const mixtures: [name: string, lengths: number[]][] = [
  ["all long", Array.from({ length: 40 }, (_, i) => 1_400 + i)],
  ["all short", Array.from({ length: 700 }, (_, i) => i % 70)],
  ["short and long in turn", Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? i : 2_000 + i))],
  ["every length up to 300", Array.from({ length: 300 }, (_, i) => i)],
  ["long ones first, then short ones", Array.from({ length: 80 }, (_, i) => (i < 9 ? 1_400 : 64 + i))],
  ["longer than what is shared", [5_000, 30_000, 4_097, 4_096]],
];

for (const [name, lengths] of mixtures) {
  test(`bodies of one frame, ${name}: whole, at multiples of 8, and none holds more than it may`, () => {
    for (let front = 5; front < 13; front++) {
      const { bodies, plaintext } = keepAll(lengths, front);
      const stays = bodies.filter(({ buffer }) => buffer === plaintext.buffer);
      assert.equal(frameWasTaken(), stays.length > 0);
      // Whoever does not stay in a frame that nobody took: its memory is wiped, and used for the next one.
      if (stays.length === 0) plaintext.fill(0);
      keepAll([1_400, 1, 1_400]);
      endSharing();
      bodies.forEach((body, i) => {
        const length = lengths[i]!;
        assertSameBytes(body, patternBytes(length, i), `body ${i}`);
        assert.equal(body.byteOffset % 8, 0, `body ${i} of ${length} bytes is aligned`);
        assert.equal(body.constructor, Uint8Array);
        const mayHold = Math.max(SHARED_BYTES, length, length * MAX_FRAME_SHARE);
        assert.ok(body.buffer.byteLength <= mayHold, `${length} bytes hold ${body.buffer.byteLength}`);
      });
    }
  });
}

for (const [name, lengths] of mixtures) {
  test(`bodies that are copied from a read, ${name}: whole, at multiples of 8, and none holds more than it may`, () => {
    const { plaintext, starts } = frameOf(lengths, 5);
    beginSharing(new BodyMemory());
    const bodies = lengths.map((length, i) => {
      const end = starts[i]! + length;
      return keepBody(plaintext, starts[i]!, end, plaintext.length - end);
    });
    endSharing();
    plaintext.fill(0);
    bodies.forEach((body, i) => {
      const length = lengths[i]!;
      assertSameBytes(body, patternBytes(length, i), `body ${i}`);
      assert.equal(body.byteOffset % 8, 0, `body ${i} of ${length} bytes is aligned`);
      const mayHold = Math.max(SHARED_BYTES, length * MAX_FRAME_SHARE);
      assert.ok(body.buffer.byteLength <= mayHold, `${length} bytes hold ${body.buffer.byteLength}`);
    });
  });
}

test("of a frame in which bodies stay, nothing but them is left: heads, bodies that were copied, what was moved", () => {
  const HEAD_BYTES = 33;
  const below = generator(7);
  for (let round = 0; round < 200; round++) {
    const lengths = Array.from({ length: 1 + below(12) }, () =>
      below(2) === 0 ? below(60) : 2_000 + below(1_000),
    );
    const { plaintext, starts } = frameOf(lengths, 5);
    // Some records have a head: the body begins behind it, and the head is read before.
    const heads = lengths.map((length) => (length > HEAD_BYTES && below(3) === 0 ? HEAD_BYTES : 0));
    offerFrame(plaintext);
    if (lengths.length > 1) frameIsShared();
    const bodies = lengths.map((length, i) => {
      const end = starts[i]! + length;
      return keepBody(plaintext, starts[i]! + heads[i]!, end, plaintext.length - end);
    });
    const stay = bodies.filter(({ buffer }) => buffer === plaintext.buffer);
    assert.equal(frameWasTaken(), stay.length > 0);
    endSharing();
    bodies.forEach((body, i) => {
      assertSameBytes(body, patternBytes(lengths[i]!, i).subarray(heads[i]!), `body ${i} of round ${round}`);
    });
    if (stay.length === 0) continue;
    // Headers of records may be left: they hold a length, a number and a kind.
    const mayBeLeft = new Uint8Array(plaintext.length).fill(1, 0, 5);
    for (const start of starts) mayBeLeft.fill(1, start - HEADER_BYTES, start);
    for (const { byteOffset, length } of stay) mayBeLeft.fill(1, byteOffset, byteOffset + length);
    const left = plaintext.findIndex((byte, at) => byte !== 0 && mayBeLeft[at] === 0);
    assert.equal(left, -1, `byte ${left} of ${plaintext.length}, round ${round}`);
  }
});

test("memory that the application transferred away, with a body that was alone or with neighbours, is left alone", () => {
  for (const lengths of [[20_000], [20_000, 10]]) {
    const { plaintext, starts } = frameOf(lengths, 5);
    offerFrame(plaintext);
    if (lengths.length > 1) frameIsShared();
    const body = keepBody(plaintext, starts[0]!, starts[0]! + 20_000, 0);
    let taken = body;
    try {
      taken = structuredClone(body, { transfer: [body.buffer as ArrayBuffer] }); // Node 20 copies, the others throw
    } catch {}
    assert.equal(frameWasTaken(), true);
    assertSameBytes(taken, patternBytes(20_000, 0));
  }
  endSharing();
});

test("a body that came alone can be transferred; neighbours can't take each other along", () => {
  const { plaintext, starts } = frameOf([20_000], 0);
  offerFrame(plaintext);
  const alone = keepBody(plaintext, starts[0]!, plaintext.length, 0);
  assert.equal(frameWasTaken(), true);
  assertSameBytes(
    structuredClone(alone, { transfer: [alone.buffer as ArrayBuffer] }),
    patternBytes(20_000, 0),
  );

  const { bodies } = keepAll([2_000, 2_000]);
  try {
    structuredClone(bodies[0], { transfer: [bodies[0]!.buffer as ArrayBuffer] }); // Node 20 copies, the others throw
  } catch {}
  assertSameBytes(bodies[1]!, patternBytes(2_000, 1));
  frameWasTaken();
  endSharing();
});

test("memory that is used otherwise is copied from: another frame's, or one that is part of something", () => {
  const { plaintext, starts } = frameOf([2_000], 5);
  const whole = new Uint8Array(plaintext.length + 100);
  const part = whole.subarray(100);
  part.set(plaintext);
  offerFrame(part);
  const body = keepBody(part, starts[0]!, part.length, 0);
  assert.equal(frameWasTaken(), false);
  const later = keepBody(plaintext, starts[0]!, plaintext.length, 0);
  whole.fill(0);
  plaintext.fill(0);
  assertSameBytes(body, patternBytes(2_000, 0));
  assertSameBytes(later, patternBytes(2_000, 0));
});

test("bodies that are copied from a Buffer, as ciphers of some runtimes return: plain arrays of their own", () => {
  const frames = [0, 1].map((seed) => Buffer.from(patternBytes(3_000, seed)));
  for (const length of [0, 1, 64, 128, 1_000, 1_001]) {
    const bodies = frames.map((bytes) => keepBody(bytes, 9, 9 + length, 0));
    const neighbours = frames.map((bytes) => keepBody(bytes, 100, 100 + length, 0));
    bodies.concat(neighbours).forEach((body, i) => {
      assert.equal(Object.getPrototypeOf(body), Uint8Array.prototype, `${length} bytes`);
      const start = i < 2 ? 9 : 100;
      assertSameBytes(body, patternBytes(3_000, i % 2).subarray(start, start + length), `${length} bytes`);
      for (const { buffer } of frames) assert.notEqual(body.buffer, buffer);
    });
  }
  endSharing();
});

/** A read of this connection with one body, which arrives alone. */
function readAlone(memory: BodyMemory, length: number, seed: number): Uint8Array {
  beginSharing(memory);
  const body = keepBody(patternBytes(length, seed), 0, length, 0);
  endSharing();
  return body;
}

/** Arrays from here on need no ArrayBuffer in Bun. */
const SHORT = 1_200;

test("bodies of which each arrives alone share memory from the second on, with those of their connection only", () => {
  const memories = [new BodyMemory(), new BodyMemory(), new BodyMemory()];
  const bodies = memories.map((): Uint8Array[] => []);
  for (let i = 0; i < 60; i++) {
    memories.forEach((memory, of) => {
      bodies[of]!.push(readAlone(memory, SHORT + of + i, of + i));
    });
  }
  const buffers = bodies.map((all) => new Set(all.map(({ buffer }) => buffer)));
  bodies.forEach((all, of) => {
    all.forEach((body, i) => {
      assertSameBytes(body, patternBytes(SHORT + of + i, of + i), `body ${i} of connection ${of}`);
      assert.equal(body.byteOffset % 8, 0);
      const mayHold = Math.max(SHARED_BYTES, body.length * MAX_FRAME_SHARE);
      assert.ok(body.buffer.byteLength <= mayHold, `${body.buffer.byteLength}`);
      assert.ok(all.filter(({ buffer }) => buffer === body.buffer).length > 1 || i === 0 || i > 55);
    });
    assert.equal(all[0]!.buffer.byteLength, all[0]!.length, "the first one is alone in its memory");
    assert.ok(buffers[of]!.size < 10, `${buffers[of]!.size} for 60 bodies`);
    for (const other of buffers.filter((set) => set !== buffers[of])) {
      assert.ok([...buffers[of]!].every((buffer) => !other.has(buffer)));
    }
  });
  for (const memory of memories) {
    memory.close();
    assert.equal(memory.buffer.byteLength, 0, "a connection that is closed holds none");
  }
});

test("short bodies that arrive alone retain at most 64 times their length", () => {
  const memory = new BodyMemory();
  const SHORTEST = 1;
  for (let i = 0; i < 200; i++) {
    const length = SHORTEST + i;
    const { buffer } = readAlone(memory, length, i);
    assert.ok(buffer.byteLength <= Math.max(SHARED_BYTES, 64 * length));
  }
  memory.close();
});

test("a body that is viewed in place keeps its frame while its read is handled, and no longer", async () => {
  if (collectGarbage === undefined) return;
  for (const isReading of [true, false]) {
    if (isReading) {
      enterRead();
      beginSharing(new BodyMemory());
    }
    const frame = ((): WeakRef<ArrayBufferLike> => {
      const bytes = patternBytes(100_000, 1);
      assertSameBytes(viewBody(bytes, 9, 50_000), patternBytes(100_000, 1).subarray(9, 50_000));
      assertSameBytes(viewBody(bytes, 7, 8), patternBytes(100_000, 1).subarray(7, 8));
      return new WeakRef(bytes.buffer);
    })();
    if (isReading) {
      leaveRead();
      endSharing();
    }
    for (let i = 0; i < 10 && frame.deref() !== undefined; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collectGarbage();
    }
    assert.equal(frame.deref(), undefined);
  }
});

test("of many connections that read in turn a few have memory that outlasts their reads; one that stops loses it", () => {
  const memories = Array.from({ length: 100 }, () => new BodyMemory());
  const holders = (): BodyMemory[] => memories.filter(({ buffer }) => buffer.byteLength > 0);
  const all = (from: number): void => {
    for (let round = 0; round < 20; round++) {
      for (const memory of memories.slice(from)) readAlone(memory, SHORT, round);
    }
  };
  all(0);
  const first = holders();
  assert.equal(first.length, 16);
  all(0);
  assert.deepEqual(holders(), first, "those that go on reading keep it, so memory is not made in vain");
  all(50);
  assert.equal(holders().length, 16);
  assert.ok(holders().every((memory) => memories.indexOf(memory) >= 50));
  for (const memory of memories) memory.close();
  assert.equal(holders().length, 0);
});

test("the bodies of a read with several share the memory of this read", () => {
  const memory = new BodyMemory();
  const { buffer } = readAlone(memory, SHORT, 0);
  const reads = [1, 2].map((read) => {
    beginSharing(memory);
    const bytes = patternBytes(SHORT * 3, read);
    const several = [0, 1, 2].map((i) => keepBody(bytes, i * SHORT, (i + 1) * SHORT, (2 - i) * SHORT));
    endSharing();
    assert.equal(new Set(several.map((body) => body.buffer)).size, 1);
    several.forEach((body, i) => {
      assertSameBytes(body, patternBytes(SHORT * 3, read).subarray(i * SHORT, (i + 1) * SHORT));
    });
    return several[0]!.buffer;
  });
  assert.equal(new Set([buffer, ...reads]).size, 3);
  assert.equal(memory.buffer.byteLength, 0, "nothing outlasts such a read");
  memory.close();
});

test("read after read with several bodies: later reads of a connection share memory, with no other connection", () => {
  const memories = Array.from({ length: 40 }, () => new BodyMemory());
  const buffers = memories.map(() => new Set<ArrayBufferLike>());
  const kept: { body: Uint8Array; expected: Uint8Array }[] = [];
  const READS = 20;
  for (let read = 0; read < READS; read++) {
    memories.forEach((memory, of) => {
      beginSharing(memory);
      const bytes = patternBytes(SHORT * 3, 50 * read + of);
      for (let i = 0; i < 3; i++) {
        const body = keepBody(bytes, i * SHORT, (i + 1) * SHORT, (2 - i) * SHORT);
        kept.push({ body, expected: bytes.slice(i * SHORT, (i + 1) * SHORT) });
        assert.equal(body.byteOffset % 8, 0);
        assert.ok(body.buffer.byteLength <= Math.max(SHARED_BYTES, body.length * MAX_FRAME_SHARE));
        buffers[of]!.add(body.buffer);
      }
      endSharing();
    });
  }
  // Not one byte was written twice.
  for (const { body, expected } of kept) assertSameBytes(body, expected);
  const all = buffers.flatMap((own) => [...own]);
  assert.equal(new Set(all).size, all.length, "no memory of two connections");
  const outlast = memories.filter(({ buffer }) => buffer.byteLength > 0);
  assert.equal(outlast.length, 16, "only a few connections hold memory between their reads");
  memories.forEach((memory, of) => {
    const isHolder = outlast.includes(memory);
    assert.ok(isHolder ? buffers[of]!.size < READS / 2 : buffers[of]!.size === READS, `${buffers[of]!.size}`);
    memory.close();
    assert.equal(memory.buffer.byteLength, 0, "a connection that is closed holds none");
  });
});

test("of a large frame that can't be handled nothing is left: a bundle with a bad record, and padding that can't be", () => {
  const bundle = concat(u32(0), Uint8Array.of(Kind.bundle), patternBytes(70_000));
  // Of its padding, one byte is less than there can be.
  const tail = Uint8Array.of(0, 1);
  const padded = concat(u32(0), Uint8Array.of(Kind.message | PADDED_FLAG), patternBytes(70_000), tail);
  for (const [what, plaintext] of [
    ["a bundle", bundle],
    ["padding", padded],
  ] as const) {
    let opened: Uint8Array = EMPTY;
    const session = {
      opensNatively: () => false,
      openLarge(_pieces: readonly Uint8Array[], into: Uint8Array) {
        into.set(plaintext);
        opened = into;
        return into;
      },
    };
    const sink = {
      stopped: false,
      proven() {},
      record: () => assert.fail("a record was handed on"),
      bundle() {
        throw new SealwireError("ERR_PROTOCOL", "a bundle whose records do not fill it");
      },
    };
    const options = { withKind: true, role: "server", bodyViews: false } as const;
    const opener = new FrameOpener(session as unknown as Session, options, sink);
    assert.throws(() => opener.largeFrame([new Uint8Array(plaintext.length + TAG_BYTES)]), {
      code: "ERR_PROTOCOL",
    });
    assert.equal(opened.length, plaintext.length, what);
    assert.ok(
      opened.every((byte) => byte === 0),
      what,
    );
  }
});
