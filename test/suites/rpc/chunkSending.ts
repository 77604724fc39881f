// A pool without a free slot. To get the memory of one chunk, everything that waits is sent at once, in the middle of
// the append, also chunks of other streams and of the same connection. Nothing is lost, mixed or out of order.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import { copyOf } from "../../../src/core/bytes.ts";
import { acquireSlot, releaseSlot, slotsInUse } from "../../../src/core/slotPool.ts";
import { POOL_SLOTS } from "../../../src/core/wasmModule.ts";
import { controlsFor } from "../../../src/protocol/controls.ts";
import { FrameOpener, type RecordSink } from "../../../src/protocol/frameOpener.ts";
import { FrameReader } from "../../../src/protocol/frameReader.ts";
import { BASE_SETTINGS, encodeSettings } from "../../../src/protocol/settings.ts";
import { CHUNK_CONTINUES, KIND_HEADER_BYTES, Kind, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { OutgoingStream } from "../../../src/rpc/outgoingStream.ts";
import { Sender } from "../../../src/rpc/sender.ts";
import { Streams } from "../../../src/rpc/streams.ts";
import { TurnQueue } from "../../../src/rpc/turnQueue.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import { parseRecords } from "../../support/rawSession.ts";
import { session } from "../../support/transportSessions.ts";

const MAX_FRAME_BYTES = 1_048_576;
const STREAMS = 4;
/** How deep chunks are appended within the append of a chunk, of any connection. */
let depth = 0;
let deepest = 0;

/** One connection that streams. */
class Line {
  readonly transport = new FakeTransport();
  readonly sender: Sender;
  readonly streams: OutgoingStream[];
  readonly failures: unknown[] = [];
  readonly #writer: Writer;
  readonly #session = session(1, 2);
  readonly #peer = session(2, 1);
  readonly #sent: Uint8Array[][] = [];

  constructor(flushes: TurnQueue, seed: number) {
    this.#writer = new Writer(0, { onIdle: () => this.sender.flush(), onStall() {} });
    this.#writer.attach(this.transport);
    const framing = { withKind: true, padding: 0, maxFrameBytes: MAX_FRAME_BYTES, bundleBytes: 65_536 };
    this.sender = new Sender(
      flushes,
      this.#writer,
      { ...framing, lowWaterMarkBytes: 1_000 },
      { onEased() {}, onRelief() {}, onFailure: (error) => this.failures.push(error) },
    );
    const append = this.sender.append.bind(this.sender);
    this.sender.append = (sequence, kind, body) => {
      if (kind === Kind.chunk) deepest = Math.max(deepest, ++depth);
      append(sequence, kind, body);
      if (kind === Kind.chunk) depth--;
    };
    const streams = new Streams(
      this.sender,
      controlsFor(true, this.sender, () => 65_000),
    );
    this.streams = Array.from(
      { length: STREAMS },
      (_, i) => new OutgoingStream(streams, () => 2 * i + 1, 10_000_000, 10_000_000),
    );
    this.sender.start(this.#session, { kind: Kind.settings, body: encodeSettings(BASE_SETTINGS) });
    for (const [i, stream] of this.streams.entries()) {
      const items = [15_000, 0, 1, 40_000, 3, 100_000, 16_001].map((length, j) =>
        new Uint8Array(length).map((_, at) => seed + 16 * i + j + (at % 13)),
      );
      this.#sent.push(items);
      for (const item of items) void stream.write(item);
      stream.end();
    }
  }

  /** What was written opens, and has every item of every stream, whole, in order, and then its end. */
  assertWhole(): void {
    assert.deepEqual(this.failures, []);
    const got: Uint8Array[][] = this.streams.map(() => []);
    const parts: Uint8Array[][] = this.streams.map(() => []);
    const ended: number[] = [];
    const take = (sequence: number, kind: number, body: Uint8Array): void => {
      const i = (sequence - 1) / 2;
      assert.ok(!ended.includes(i), "nothing follows an end");
      if (kind === Kind.end) ended.push(i);
      if (kind !== Kind.chunk) return;
      parts[i]!.push(body.slice(1));
      if ((body[0]! & CHUNK_CONTINUES) === 0) got[i]!.push(concat(...parts[i]!.splice(0)));
    };
    const sink: RecordSink = {
      stopped: false,
      proven() {},
      record(sequence, kind, bytes, start, end) {
        if (kind !== Kind.settings) take(sequence, kind, copyOf(bytes, start, end));
      },
      bundle(bytes, start, end) {
        for (const { sequence, kind, body } of parseRecords(copyOf(bytes, start, end)))
          take(sequence, kind, body);
      },
    };
    const opener = new FrameOpener(this.#peer, { withKind: true, role: "server", bodyViews: false }, sink);
    const reader = new FrameReader(opener, KIND_HEADER_BYTES + TAG_BYTES, MAX_FRAME_BYTES);
    for (const bytes of this.transport.written) reader.read(bytes);
    assert.deepEqual(ended.sort(), [0, 1, 2, 3]);
    for (const [i, items] of this.#sent.entries()) {
      assert.equal(got[i]!.length, items.length);
      for (const [j, item] of items.entries()) {
        assert.ok(Buffer.from(got[i]![j]!).equals(item), `item ${j} of stream ${i}`);
      }
    }
  }

  close(): void {
    this.sender.close(new SealwireError("ERR_CLOSED", "the test is over"));
    this.#writer.close();
    this.#writer.releaseMemory();
    this.#session.destroy();
    this.#peer.destroy();
  }
}

for (const freeSlots of [0, 1, 2]) {
  test(`with ${freeSlots} slots free: a chunk that makes others leave first`, () => {
    const turnEnd: (() => void)[] = [];
    const defer = (callback: () => void): void => void turnEnd.push(callback);
    const flushes = new TurnQueue({ defer, yieldToEventLoop: defer });
    const taken: number[] = [];
    while (slotsInUse() < POOL_SLOTS - 1 - freeSlots) taken.push(acquireSlot());
    const lines: Line[] = [];
    depth = 0;
    deepest = 0;
    try {
      // All of them wait for the end of the turn, when the handling of a read of the first one ends.
      lines.push(new Line(flushes, 1), new Line(flushes, 90), new Line(flushes, 170));
      lines[0]!.sender.readEnds();
      for (let turns = 0; turnEnd.length > 0 && turns < 100; turns++) turnEnd.shift()!();
      if (freeSlots === 0) assert.ok(deepest >= 2, "or no chunk was sent within the append of another");
      for (const line of lines) line.assertWhole();
    } finally {
      for (const line of lines) line.close();
      for (const slot of taken) releaseSlot(slot);
    }
    assert.equal(slotsInUse(), 0);
  });
}
