// Records that wait: a handler that stops gets no further record, and later gets all of them in order, whatever frames
// they came in.

import assert from "node:assert/strict";
import { Backlog, type RecordHandler } from "../../../src/protocol/backlog.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import { record } from "../../support/rawSession.ts";

/** Keeps copies of the records it gets, as many as it has room for. */
class Collector implements RecordHandler {
  readonly records: string[] = [];
  room = Number.POSITIVE_INFINITY;
  stopped = false;
  provenCalls = 0;
  /** Takes one-way messages of bundles at once, as far as there is room. */
  takesOneWays = false;
  oneWayCount = 0;

  get ready(): boolean {
    return this.room > 0;
  }

  proven(): void {
    this.provenCalls++;
  }

  /** What the library's handler would take, written in another way. */
  run(bytes: Uint8Array, start: number, end: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, end);
    let at = start;
    while (this.takesOneWays && this.ready && bytes.length > 0 && at + 9 <= end) {
      const next = at + 4 + view.getUint32(at);
      if (next < at + 9 || next > end || view.getUint32(at + 4) + view.getUint8(at + 8) > 0) break;
      this.oneWayCount++;
      this.record(0, Kind.message, bytes, at + 9, next);
      at = next;
    }
    return at;
  }

  record(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(this.room > 0, "never more than there is room for");
    this.room--;
    this.records.push(`${sequence}:${kind}:${Buffer.from(bytes.subarray(start, end)).toString("hex")}`);
  }
}

const bodyOf = (i: number): Uint8Array => new Uint8Array(i % 40).fill(i);
const expected = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${i}:${i % 4}:${Buffer.from(bodyOf(i)).toString("hex")}`);

/** Records [from, to) as a bundle has them. */
function records(from: number, to: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = from; i < to; i++) {
    parts.push(record(i, i % 4, bodyOf(i)));
  }
  return concat(...parts);
}

/** Gives records 0 … 29 alone and in bundles; the memory that they come in is overwritten afterwards. */
function offerAll(backlog: Backlog): void {
  for (let i = 0; i < 30; ) {
    if (i % 7 === 3) {
      const bundle = records(i, i + 5);
      backlog.bundle(bundle, 0, bundle.length, 0);
      bundle.fill(0xff);
      i += 5;
    } else {
      const body = bodyOf(i);
      backlog.record(i, i % 4, body, 0, body.length, true, 0);
      body.fill(0xff);
      i++;
    }
  }
}

test("with room everything is handled at once, in order", () => {
  const handler = new Collector();
  const backlog = new Backlog(handler);
  offerAll(backlog);
  assert.deepEqual(handler.records, expected(30));
  assert.equal(backlog.isEmpty, true);
});

test("every number of records that are handled at once, and every pace afterwards", () => {
  for (let first = 0; first < 30; first++) {
    for (const pace of [1, 2, 3, 7, 100]) {
      const handler = new Collector();
      handler.room = first;
      const backlog = new Backlog(handler);
      offerAll(backlog);
      assert.equal(handler.records.length, first);
      assert.equal(backlog.isEmpty, false);
      for (let turns = 0; handler.records.length < 30; turns++) {
        assert.ok(turns < 30, "it goes on");
        handler.room = pace;
        backlog.drain();
      }
      assert.deepEqual(handler.records, expected(30));
      assert.equal(backlog.isEmpty, true);
    }
  }
});

test("what comes while others wait goes behind them, though there is room again", () => {
  const handler = new Collector();
  handler.room = 0;
  const backlog = new Backlog(handler);
  const [one, two] = [bodyOf(0), bodyOf(1)];
  backlog.record(0, 0, one, 0, one.length, true, 0);
  handler.room = 5;
  backlog.record(1, 1, two, 0, two.length, true, 0);
  assert.deepEqual(handler.records, []);
  backlog.drain();
  assert.deepEqual(handler.records, expected(2));
});

test("a record that does not fill its bundle is an error when its turn comes, and not before", () => {
  const good = records(0, 3);
  for (const damage of [
    (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1),
    (bytes: Uint8Array) => Buffer.concat([bytes, new Uint8Array(3)]),
    (bytes: Uint8Array) => Buffer.concat([bytes, new Uint8Array(8)]),
    (bytes: Uint8Array) => Buffer.concat([bytes, Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0)]),
    (bytes: Uint8Array) => Buffer.concat([bytes, Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0)]),
  ]) {
    const handler = new Collector();
    handler.room = 2;
    const backlog = new Backlog(handler);
    const bad = new Uint8Array(damage(good));
    backlog.bundle(bad, 0, bad.length, 0);
    assert.equal(handler.records.length, 2);
    handler.room = 100;
    assert.throws(() => backlog.drain(), { code: "ERR_PROTOCOL" });
  }
});

test("one-way messages of a bundle begin at once, and nothing else does, whatever is between them", () => {
  for (let first = 0; first <= 24; first++) {
    const handler = new Collector();
    handler.takesOneWays = true;
    handler.room = first;
    const backlog = new Backlog(handler);
    const all: [sequence: number, kind: number][] = Array.from({ length: 24 }, (_, i) =>
      i % 5 === 1 ? [i, Kind.message] : i % 5 === 3 ? [0, Kind.ping] : [0, Kind.message],
    );
    const bundle = concat(...all.map(([sequence, kind], i) => record(sequence, kind, bodyOf(i))));
    backlog.bundle(bundle, 0, bundle.length, 0);
    bundle.fill(0xff);
    assert.equal(handler.records.length, first);
    assert.equal(
      handler.oneWayCount,
      all.slice(0, first).filter(([sequence, kind]) => sequence + kind === 0).length,
    );
    handler.room = 100;
    backlog.drain();
    assert.deepEqual(
      handler.records,
      all.map(([sequence, kind], i) => `${sequence}:${kind}:${Buffer.from(bodyOf(i)).toString("hex")}`),
    );
  }
});

test("a record that is cut off, or longer than its bundle, is no one-way message", () => {
  const good = record(0, Kind.message, bodyOf(7));
  const tooLong = Uint8Array.of(0, 0, 0, 6, 0, 0, 0, 0, Kind.message);
  for (const bad of [
    ...Array.from({ length: good.length - 1 }, (_, i) => good.subarray(0, i + 1)),
    tooLong,
    Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, Kind.message),
    Uint8Array.of(0x80, 0, 0, 5, 0, 0, 0, 0, Kind.message),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, Kind.message),
    Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, Kind.message),
  ]) {
    const handler = new Collector();
    handler.takesOneWays = true;
    const backlog = new Backlog(handler);
    // Bytes of the frame follow its bundle, as its tag does.
    const frame = concat(good, bad, new Uint8Array(64));
    const end = good.length + bad.length;
    assert.throws(() => backlog.bundle(frame, 0, end, 0), { code: "ERR_PROTOCOL" });
    assert.equal(handler.oneWayCount, 1);
    assert.equal(handler.records.length, 1);
  }
});

test("memory that a handler transfers away with further records is an error, also where it ends the turn", () => {
  for (const waits of [false, true]) {
    for (const takesOneWays of [false, true]) {
      for (const isLast of [false, true]) {
        const handler = new Collector();
        handler.takesOneWays = takesOneWays;
        const backlog = new Backlog(handler);
        const handle = handler.record.bind(handler);
        handler.record = (sequence, kind, bytes, start, end) => {
          handle(sequence, kind, bytes, start, end);
          if (handler.records.length < 2) return;
          structuredClone(0, { transfer: [bytes.buffer as ArrayBuffer] });
          if (isLast) handler.room = 0;
        };
        const bundle = concat(...[1, 2, 3].map((i) => record(0, Kind.message, bodyOf(i))));
        if (waits) handler.room = 0;
        const offer = (): void => {
          backlog.bundle(bundle, 0, bundle.length, 0);
          handler.room = 100;
          backlog.drain();
        };
        assert.throws(offer, { name: "TypeError", message: /transferred memory that held further messages/ });
        assert.equal(handler.records.length, 2);
      }
    }
  }
});

test("a handler that stops gets nothing more; what is cleared is gone", () => {
  const handler = new Collector();
  handler.room = 1;
  const backlog = new Backlog(handler);
  offerAll(backlog);
  handler.room = 100;
  handler.stopped = true;
  backlog.drain();
  assert.equal(handler.records.length, 1);
  handler.stopped = false;
  backlog.clear();
  backlog.drain();
  assert.equal(handler.records.length, 1);
  assert.equal(backlog.isEmpty, true);
});

test("a bundle inside a bundle is handed on as a record of that kind, for the handler to refuse", () => {
  const handler = new Collector();
  const inner = Uint8Array.of(0, 0, 0, 5, 0, 0, 0, 0, Kind.bundle);
  const backlog = new Backlog(handler);
  backlog.bundle(inner, 0, inner.length, 0);
  assert.deepEqual(handler.records, [`0:${Kind.bundle}:`]);
});
