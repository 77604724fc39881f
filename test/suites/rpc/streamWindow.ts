// How many bytes the streams of a connection may have on their way: enough for the path, and not much more. The senders
// always have more to send, the path has a rate and a delay, and the test moves the clock.

import assert from "node:assert/strict";
import { Allowance } from "../../../src/protocol/credit.ts";
import { FIRST_STREAM_CREDIT, SharedWindow } from "../../../src/rpc/sharedWindow.ts";
import { StreamWindow } from "../../../src/rpc/streamWindow.ts";
import { test } from "../../support/harness.ts";

const CHUNK_BYTES = 16_000;
const CHUNK_COST = 64;
const SHARED_BYTES = 8_388_608;
const MAX_EVENTS = 2_000_000;

interface Stream {
  readonly window: StreamWindow;
  balance: number;
  saidBlocked: boolean;
  received: number;
  active: boolean;
}

interface Event {
  readonly at: number;
  run(): void;
}

/** Bulk streams of one connection. `bytesPerMs`: what the path carries, behind which a queue without end may wait. */
class Path {
  readonly windows = new SharedWindow();
  readonly streams: Stream[] = [];
  readonly bytesPerMs: number;
  oneWayMs: number;
  at = 0;
  #linkFreeAt = 0;
  /** Both in order: what goes to the receiver, and what comes back. */
  readonly #toReceiver: Event[] = [];
  readonly #toSender: Event[] = [];

  constructor(oneWayMs: number, bytesPerMs: number) {
    this.oneWayMs = oneWayMs;
    this.bytesPerMs = bytesPerMs;
  }

  open(): Stream {
    const window = new StreamWindow(this.windows, () => this.at);
    const stream = { window, balance: FIRST_STREAM_CREDIT, saidBlocked: false, received: 0, active: true };
    this.streams.push(stream);
    this.#send();
    return stream;
  }

  end(stream: Stream): void {
    stream.active = false;
    stream.window.leave();
  }

  /** What a record waits at the link before it leaves. */
  get queueMs(): number {
    return Math.max(0, this.#linkFreeAt - this.at);
  }

  runUntil(ms: number): void {
    let events = 0;
    for (;;) {
      const queue = this.#next();
      if (queue === undefined || queue[0]!.at > ms) break;
      const event = queue.shift()!;
      this.at = event.at;
      event.run();
      assert.ok(++events < MAX_EVENTS);
    }
    this.at = ms;
  }

  #next(): Event[] | undefined {
    const [forth, back] = [this.#toReceiver, this.#toSender];
    if (forth.length === 0 || back.length === 0)
      return forth.length > 0 ? forth : back.length > 0 ? back : undefined;
    return forth[0]!.at <= back[0]!.at ? forth : back;
  }

  /** Each stream with credit gives a chunk in turn, until none has any. */
  #send(): void {
    for (let sent = true; sent; ) {
      sent = false;
      for (const stream of this.streams) {
        if (!stream.active || stream.balance <= 0) continue;
        const cost = CHUNK_COST + Math.min(CHUNK_BYTES, Math.max(stream.balance - CHUNK_COST, 1));
        stream.balance -= cost;
        this.#carry(cost, () => this.#chunkArrives(stream, cost));
        sent = true;
      }
    }
    for (const stream of this.streams) {
      if (!stream.active || stream.saidBlocked || stream.balance > 0) continue;
      stream.saidBlocked = true;
      this.#carry(0, () => this.#blockedArrives(stream));
    }
  }

  #carry(cost: number, run: () => void): void {
    this.#linkFreeAt = Math.max(this.#linkFreeAt, this.at) + cost / this.bytesPerMs;
    this.#toReceiver.push({ at: this.#linkFreeAt + this.oneWayMs, run });
  }

  #chunkArrives(stream: Stream, cost: number): void {
    if (!stream.active) return;
    assert.ok(stream.window.receive(cost));
    stream.received += cost;
    stream.window.giveBack(cost);
    if (stream.window.due > 0) this.#giveCredit(stream);
  }

  #blockedArrives(stream: Stream): void {
    if (!stream.active) return;
    stream.window.senderWaits();
    stream.window.widen();
    if (stream.window.returned > 0) this.#giveCredit(stream);
  }

  #giveCredit(stream: Stream): void {
    const bytes = stream.window.takeCredit();
    if (bytes === 0) return;
    this.#toSender.push({
      at: this.at + this.oneWayMs,
      run: () => {
        stream.balance += bytes;
        stream.saidBlocked = false;
        this.#send();
      },
    });
    const beyondFirst = this.streams.reduce(
      (sum, { window, active }) => sum + (active ? window.bytes - FIRST_STREAM_CREDIT : 0),
      0,
    );
    assert.ok(beyondFirst <= SHARED_BYTES, `${beyondFirst} bytes beyond the first credit`);
  }
}

const rateOf = (stream: Stream, path: Path, ms: number): number => {
  const before = stream.received;
  path.runUntil(path.at + ms);
  return (stream.received - before) / ms;
};

test("a path of 50 ms that carries 80 MB/s is used within six round trips", () => {
  const path = new Path(25, 80_000);
  const stream = path.open();
  path.runUntil(6 * 50);
  assert.ok(stream.window.bytes >= 50 * 80_000, `${stream.window.bytes} bytes`);
  assert.ok(rateOf(stream, path, 1_000) >= 0.95 * 80_000);
  assert.ok(stream.window.bytes <= SHARED_BYTES + FIRST_STREAM_CREDIT);
});

for (const [oneWayMs, bytesPerMs] of [
  [0.05, 100_000],
  [0.05, 20_000],
  [0.5, 1_000_000],
  [5, 10_000],
  [40, 5_000],
] as const) {
  for (const count of [1, 4, 20]) {
    test(`a path of ${2 * oneWayMs} ms that carries ${bytesPerMs / 1e3} MB/s is full with ${count} streams, and its queue short`, () => {
      const path = new Path(oneWayMs, bytesPerMs);
      const streams = Array.from({ length: count }, () => path.open());
      const settleMs = Math.max(1_000, 40 * oneWayMs);
      path.runUntil(settleMs);
      const before = streams.reduce((sum, { received }) => sum + received, 0);
      let worstMs = 0;
      const looks = 200;
      for (let i = 1; i <= looks; i++) {
        path.runUntil(settleMs + i * 2.5);
        worstMs = Math.max(worstMs, path.queueMs);
      }
      const rate = (streams.reduce((sum, { received }) => sum + received, 0) - before) / (looks * 2.5);
      assert.ok(rate >= 0.9 * bytesPerMs, `${rate} of ${bytesPerMs} bytes a millisecond`);
      // The least that all of them have on their way hides the path's own time; the queue may be as long, or a millisecond.
      const least = Math.max(262_144, count * FIRST_STREAM_CREDIT) / bytesPerMs;
      const longest = 2 * Math.max(2 * oneWayMs, 1, least) + least;
      assert.ok(worstMs <= longest, `a queue of ${worstMs} ms, ${longest} would do`);
    });
  }
}

test("streams have equal shares: whoever comes later, too, and those who stay have what others had", () => {
  const path = new Path(10, 50_000);
  const first = Array.from({ length: 3 }, () => path.open());
  path.runUntil(1_000);
  const late = path.open();
  path.runUntil(2_000);
  const rates = [...first, late].map((stream) => stream.received);
  path.runUntil(3_000);
  const shares = [...first, late].map((stream, i) => (stream.received - rates[i]!) / 1_000);
  for (const share of shares)
    assert.ok(share > 0.7 * (50_000 / 4) && share < 1.4 * (50_000 / 4), `${shares}`);
  for (const stream of first) path.end(stream);
  path.runUntil(3_500);
  assert.ok(rateOf(late, path, 1_000) >= 0.9 * 50_000);
});

test("a path that becomes ten times as long is measured anew", () => {
  const path = new Path(5, 50_000);
  const stream = path.open();
  path.runUntil(2_000);
  path.oneWayMs = 50;
  path.runUntil(14_000);
  assert.ok(rateOf(stream, path, 4_000) >= 0.85 * 50_000);
});

test("over a minute the queue does not grow, and the looks for the path's own time cost next to nothing", () => {
  const path = new Path(10, 20_000);
  const stream = path.open();
  path.runUntil(1_000);
  let worstMs = 0;
  const before = stream.received;
  for (let ms = 1_000; ms < 61_000; ms += 50) {
    path.runUntil(ms);
    if (ms > 31_000) worstMs = Math.max(worstMs, path.queueMs);
  }
  assert.ok((stream.received - before) / 60_000 >= 0.95 * 20_000);
  assert.ok(worstMs <= 70, `${worstMs} ms`);
});

test("a sender that has nothing to send for a while makes the path no longer", () => {
  const windows = new SharedWindow();
  let at = 0;
  const window = new StreamWindow(windows, () => at);
  const exchange = (waitsMs: number, says: boolean): void => {
    while (window.receive(8_000)) window.giveBack(8_000);
    if (says) window.senderWaits();
    window.widen();
    window.takeCredit();
    at += waitsMs;
  };
  for (let i = 0; i < 20; i++) exchange(1, true);
  const share = windows.share;
  assert.ok(share > 524_288, `${share}`);
  for (let i = 0; i < 5; i++) exchange(500, false);
  assert.equal(windows.share, share);
});

test("a stream's window is at most four times what it was, and never above its share", () => {
  const windows = new SharedWindow();
  let at = 0;
  const window = new StreamWindow(windows, () => at);
  const seen: [before: number, after: number, share: number][] = [];
  for (let i = 0; i < 12; i++) {
    while (window.receive(8_000)) window.giveBack(8_000);
    window.senderWaits();
    const before = window.bytes;
    window.widen();
    seen.push([before, window.bytes, windows.share]);
    window.takeCredit();
    at += 1;
  }
  for (const [before, after, share] of seen) {
    assert.ok(after <= Math.max(4 * before, FIRST_STREAM_CREDIT), `${before} became ${after}`);
    assert.ok(after <= Math.max(share, before), `${after} of a share of ${share}`);
  }
  assert.equal(seen[0]![1], 4 * FIRST_STREAM_CREDIT);
  assert.ok(seen.at(-1)![1] > 16 * FIRST_STREAM_CREDIT);
});

test("all streams of a connection together have at most 8 MiB beyond their first credit", () => {
  const windows = new SharedWindow();
  let taken = 0;
  for (let i = 0; i < 200; i++) {
    windows.join();
    taken += windows.take(1_000_000);
  }
  assert.ok(taken > 8_388_608 - 200_000 && taken <= 8_388_608, `${taken} bytes`);
  assert.equal(windows.total, taken + 200 * FIRST_STREAM_CREDIT);
});

test("a window that becomes narrower is never below its first credit", () => {
  let share = 1_000_000;
  class GivenShare extends SharedWindow {
    override get share(): number {
      return share;
    }
  }
  let at = 0;
  const window = new StreamWindow(new GivenShare(), () => at);
  const exchange = (): void => {
    while (window.receive(8_000)) window.giveBack(8_000);
    window.senderWaits();
    window.widen();
    window.takeCredit();
    at += 1;
  };
  for (let i = 0; i < 12; i++) exchange();
  assert.equal(window.bytes, share);
  share = FIRST_STREAM_CREDIT;
  for (let i = 0; i < 200; i++) {
    exchange();
    assert.ok(window.bytes >= FIRST_STREAM_CREDIT, `${window.bytes} bytes`);
  }
  assert.equal(window.bytes, FIRST_STREAM_CREDIT);
});

test("what is kept back is never so much that the sender gets no credit at all", () => {
  const allowance = new Allowance(1_000, 100);
  assert.ok(allowance.receive(1_000));
  allowance.giveBack(1_000);
  allowance.narrow(900);
  assert.deepEqual([allowance.window, allowance.left, allowance.due], [100, 0, 100]);
  allowance.given(100);
  assert.equal(allowance.left, 100);
});
