// Messages that wait behind a write: work per message, pool slots, order, and counted memory. The sockets are fakes and
// the sessions are real; the session's other end opens the written bytes.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import type { Engine } from "../../../src/core/engine.ts";
import { PIECE_BYTES } from "../../../src/core/pieceWriter.ts";
import { acquireSlot, releaseSlot, slotsAreScarce, slotsInUse } from "../../../src/core/slotPool.ts";
import { POOL_SLOTS } from "../../../src/core/wasmModule.ts";
import { setProcessLimits } from "../../../src/index.ts";
import { FrameOpener, type RecordSink } from "../../../src/protocol/frameOpener.ts";
import { FrameReader } from "../../../src/protocol/frameReader.ts";
import type { Session } from "../../../src/protocol/session.ts";
import { BASE_SETTINGS, encodeSettings } from "../../../src/protocol/settings.ts";
import { KIND_HEADER_BYTES, Kind, LENGTH_BYTES, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { sayWhy } from "../../../src/rpc/lingeringClose.ts";
import { memoryBudget } from "../../../src/rpc/memoryBudget.ts";
import { SealedPieces } from "../../../src/rpc/sealedPieces.ts";
import { Sender } from "../../../src/rpc/sender.ts";
import { PlainLone, QueuedSegment, SendQueue } from "../../../src/rpc/sendQueue.ts";
import { reclaimSlot, slotHolders } from "../../../src/rpc/slotHolders.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { TurnQueue } from "../../../src/rpc/turnQueue.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { waitFor } from "../../support/rpcHarness.ts";
import { session } from "../../support/transportSessions.ts";

const MAX_FRAME_BYTES = 1_048_576;
const SMALL_BODY_BYTES = 1_000;
/** What a test's `collect` says. */
const OWED = Kind.credit;
/** Slots that one connection may hold: those that wait, the one in the write, the one that is being filled. */
const MOST_SLOTS = 16 + 2;

const bytesLeft = ({ length }: Uint8Array): number => length;

const senders: Line[] = [];
onAfterEachTest(() => {
  for (const line of senders.splice(0)) line.close();
  setProcessLimits({});
  assert.equal(slotsInUse(), 0, "pool slots are left");
  assert.equal(slotHolders.size, 0, "closed connections are left in the list");
  assert.equal(memoryBudget.used, 0, "memory is counted that nobody holds");
});

/** One connection's way out. */
class Line {
  readonly transport = new FakeTransport();
  readonly sender: Sender;
  readonly failures: unknown[] = [];
  reliefs = 0;
  stalls = 0;
  #turnEnd: (() => void)[] = [];
  readonly #writer: Writer;
  readonly #session: Session;
  readonly #peer = session(2, 1);
  #next = 0;

  constructor(isStarted = true, engine: Engine = "auto", writeTimeoutMs = 0) {
    this.#session = session(1, 2, engine);
    const defer = (callback: () => void) => this.#turnEnd.push(callback);
    const flushes = new TurnQueue({ defer, yieldToEventLoop: defer });
    this.#writer = new Writer(writeTimeoutMs, {
      onIdle: () => this.sender.written(),
      onStall: () => this.stalls++,
    });
    this.#writer.attach(this.transport);
    const options = {
      withKind: true,
      padding: 0,
      maxFrameBytes: MAX_FRAME_BYTES,
      bundleBytes: 65_536,
      lowWaterMarkBytes: 1_000,
    };
    this.sender = new Sender(flushes, this.#writer, options, {
      onEased() {},
      onRelief: () => this.reliefs++,
      onFailure: (error) => this.failures.push(error),
    });
    if (isStarted) this.start();
    senders.push(this);
  }

  /** As a link of protocol v2 does: the settings leave before what waits. */
  start(): void {
    this.sender.start(this.#session, { kind: Kind.settings, body: encodeSettings(BASE_SETTINGS) });
    this.endTurn();
  }

  /** Flushes that wait for the end of this turn. */
  get flushesAsked(): number {
    return this.#turnEnd.length;
  }

  endTurn(): void {
    for (const callback of this.#turnEnd.splice(0)) callback();
  }

  /** Appends `count` messages that are numbered on. */
  append(count: number, bodyBytes = SMALL_BODY_BYTES): void {
    for (let i = 0; i < count; i++) {
      const body = new Uint8Array(bodyBytes);
      new DataView(body.buffer).setUint32(0, this.#next++);
      this.sender.append(0, Kind.message, body);
    }
  }

  /** As a connection that ends for an error of its peer; `OWED` stands for its close record. */
  sayWhy(): boolean {
    const close = () => this.sender.append(0, OWED, new Uint8Array(9));
    const outbox = { sender: this.sender, controls: { close, closed: true } };
    const parts = {
      lifecycle: { streamEnded: false },
      outbox,
      arrivals: { lastBegun: 0 },
      writer: this.#writer,
    };
    return sayWhy(
      parts as unknown as Parameters<typeof sayWhy>[0],
      new SealwireError("ERR_PROTOCOL", "a test"),
    );
  }

  /** The kernel takes the write in flight. */
  takeOne(): void {
    this.transport.taken();
    this.#writer.onWritten();
  }

  /** The peer takes what is written, and everything behind it. */
  takeAll(): void {
    this.transport.stalled = false;
    this.endTurn();
    this.transport.taken();
    this.#writer.onWritten();
    assert.equal(this.sender.pendingBytes, 0);
  }

  /** Whatever was written opens, and it is the settings, then every message once, in order, and so many `OWED`. */
  assertAllInOrder(owed = 0): void {
    assert.deepEqual(this.failures, []);
    let expected = 0;
    let foundOwed = 0;
    let begun = false;
    const take = (kind: number, bytes: Uint8Array, start: number) => {
      if (kind === OWED) {
        foundOwed++;
        return;
      }
      assert.equal(kind, Kind.message);
      assert.equal(new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(0), expected);
      expected++;
    };
    const sink: RecordSink = {
      stopped: false,
      proven() {},
      record(_sequence, kind, bytes, start) {
        if (begun) take(kind, bytes, start);
        else assert.equal(kind, Kind.settings);
        begun = true;
      },
      bundle(bytes, start, end) {
        for (let at = start; at < end; ) {
          take(bytes[at + 4 + KIND_HEADER_BYTES - 1]!, bytes, at + 4 + KIND_HEADER_BYTES);
          at += 4 + new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
        }
      },
    };
    const opener = new FrameOpener(this.#peer, { withKind: true, role: "server", bodyViews: false }, sink);
    const reader = new FrameReader(opener, KIND_HEADER_BYTES + TAG_BYTES, MAX_FRAME_BYTES);
    for (const bytes of this.transport.written) reader.read(bytes);
    assert.equal(expected, this.#next);
    assert.equal(foundOwed, owed);
  }

  close(): void {
    this.sender.close(new SealwireError("ERR_CLOSED", "the test is over"));
    this.#writer.close();
    this.#writer.releaseMemory();
    this.#session.destroy();
    this.#peer.destroy();
  }
}

/** Runs `body` while so many slots are free, the others somebody else's. */
function withFreeSlots(count: number, body: () => void): void {
  const taken: number[] = [];
  while (slotsInUse() < POOL_SLOTS - 1 - count) taken.push(acquireSlot());
  try {
    body();
  } finally {
    for (const slot of taken) releaseSlot(slot);
  }
}

/** How often a chunk of any queue is looked at while `body` runs. */
function countLooks(body: () => void): number {
  let looks = 0;
  Object.defineProperty(QueuedSegment, Symbol.hasInstance, {
    configurable: true,
    value(chunk: unknown) {
      looks++;
      return Function.prototype[Symbol.hasInstance].call(QueuedSegment, chunk);
    },
  });
  try {
    body();
  } finally {
    delete (QueuedSegment as { [Symbol.hasInstance]?: unknown })[Symbol.hasInstance];
  }
  return looks;
}

test("a stalled connection holds a bounded number of slots, whatever waits; nothing is lost", () => {
  const line = new Line();
  line.transport.stalled = true;
  const before = line.transport.written.length;
  for (let i = 0; i < 100; i++) {
    line.append(100);
    line.endTurn();
    assert.ok(slotsInUse() <= MOST_SLOTS, `${slotsInUse()} slots`);
  }
  assert.ok(slotsInUse() >= 16, "or the limit would not be what was tested");
  assert.equal(line.transport.written.length - before, 1, "one write at a time");
  line.takeAll();
  assert.equal(slotsInUse(), 0);
  line.assertAllInOrder();
});

for (const freeSlots of [0, 1, 5, 60, 200]) {
  test(`with ${freeSlots} slots free: work per message is constant, however many wait`, () => {
    withFreeSlots(freeSlots, () => {
      const line = new Line();
      line.transport.stalled = true;
      line.append(2_000);
      line.endTurn();
      const looks = [0, 0, 0, 0].map(() => countLooks(() => line.append(2_000)));
      // A look or two for every segment of about 64 messages, or for every message that finds no slot.
      const most = freeSlots === 0 ? 4 * 2_000 : 4 * (2_000 / 60);
      for (const count of looks) assert.ok(count <= most, `${looks} looks, at most ${most} allowed`);
      line.endTurn();
      line.takeAll();
      line.assertAllInOrder();
    });
  });
}

test("what waits is moved out in whole segments: writes of 60 KB, not of a message each", () => {
  withFreeSlots(1, () => {
    const line = new Line();
    line.transport.stalled = true;
    line.append(6_400);
    line.takeAll();
    assert.ok(line.transport.written.length <= 110, `${line.transport.written.length} writes of 6.4 MB`);
    line.assertAllInOrder();
  });
});

test("whoever finds no slot gets one of those that a stalled connection holds; the order holds on both", () => {
  const stalled = new Line();
  stalled.transport.stalled = true;
  stalled.append(1_500);
  stalled.endTurn();
  const held = slotsInUse();
  assert.ok(held > 2);
  withFreeSlots(0, () => {
    const others = slotsInUse() - held;
    const line = new Line();
    const before = line.transport.written.length;
    line.append(500);
    line.endTurn();
    assert.equal(line.transport.written.length > before, true);
    assert.equal(line.sender.pendingBytes, 0);
    // Only the slot in the write is still the stalled one's: that is the socket's.
    assert.equal(slotsInUse() - others, 1);
    // It goes on afterwards, behind what was moved out.
    stalled.append(300);
    stalled.endTurn();
    line.append(10);
    line.endTurn();
    line.assertAllInOrder();
  });
  stalled.takeAll();
  stalled.assertAllInOrder();
});

test("while slots are scarce no write keeps one, and none waits", () => {
  withFreeSlots(20, () => {
    assert.ok(slotsAreScarce());
    const others = slotsInUse();
    const lines = Array.from({ length: 30 }, () => new Line());
    for (const [i, line] of lines.entries()) {
      line.transport.stalled = true;
      line.append(1_000);
      line.endTurn();
      // What is being filled may have one; every full segment is outside of the pool, also the one in the write.
      assert.ok(slotsInUse() - others <= i + 1, `${slotsInUse() - others} slots of ${i + 1} connections`);
    }
    for (const line of lines) line.append(1);
    for (const line of lines) {
      line.takeAll();
      line.assertAllInOrder();
    }
    assert.equal(slotsInUse(), others);
    const single = new Line();
    single.transport.stalled = true;
    const before = single.transport.written.length;
    single.append(1);
    single.endTurn();
    assert.equal(single.transport.written.length - before, 1);
    assert.equal(slotsInUse(), others, "the write in flight holds a slot");
  });
});

test("giving slots up costs what is given up, however much was moved out before", () => {
  const line = new Line();
  line.transport.stalled = true;
  for (let i = 0; i < 200; i++) {
    line.append(200);
    line.endTurn();
    // Three segments or four, and the one that is being filled.
    const looks = countLooks(() => reclaimSlot());
    assert.ok(looks <= 10, `${looks} looks, the ${i}th time`);
    assert.ok(slotsInUse() <= 1, "only the write's is left");
  }
  line.takeAll();
  line.assertAllInOrder();
});

test("before the keys are there a connection holds one slot at most, whatever waits; then all leave in order", () => {
  const lines = Array.from({ length: 3 }, () => new Line(false));
  for (const line of lines) {
    for (let i = 0; i < 20; i++) {
      line.append(300);
      line.append(1, 200_000);
      line.endTurn();
      assert.ok(slotsInUse() <= lines.length, `${slotsInUse()} slots`);
    }
    assert.equal(line.transport.written.length, 0);
  }
  const open = new Line();
  open.append(1_000);
  open.endTurn();
  open.assertAllInOrder();
  for (const line of lines) {
    line.start();
    line.endTurn();
    assert.equal(line.sender.pendingBytes, 0);
    line.assertAllInOrder();
  }
});

test("large frames between small ones keep their place, whether slots are there or not", () => {
  for (const freeSlots of [0, 1, 2, 250]) {
    withFreeSlots(freeSlots, () => {
      for (const stalled of [true, false]) {
        const line = new Line();
        line.transport.stalled = stalled;
        for (let i = 0; i < 30; i++) {
          line.append(i);
          line.append(1, 33_000 + i * 7_000);
          if (i % 3 === 0) line.endTurn();
        }
        line.endTurn();
        line.takeAll();
        line.assertAllInOrder();
        line.close();
      }
    });
  }
});

// What is owed (credit of streams) is said when something leaves, which a full segment does within an append.
for (const stalled of [true, false]) {
  for (const [owed, owedBytes] of [
    [1, 20],
    [200, 1_000],
  ] as const) {
    for (const lastBytes of [SMALL_BODY_BYTES, 200_000]) {
      const when = `${stalled ? "the write takes its time" : "the write is done at once"}, then ${lastBytes} bytes`;
      test(`${owed} records that are owed while an append fills a segment: each leaves once, no slot is lost; ${when}`, () => {
        const line = new Line();
        line.transport.stalled = stalled;
        let said = 0;
        const owe = () => {
          const already = said;
          line.sender.collect = () => {
            if (said > already) return;
            said += owed;
            for (let i = 0; i < owed; i++) line.sender.append(0, OWED, new Uint8Array(owedBytes));
          };
          line.sender.owe();
        };
        for (let turn = 1; turn <= 3; turn++) {
          owe();
          // More than a segment in a turn: the last of them finds it full, and it leaves.
          line.append(100);
          line.append(1, lastBytes);
          line.append(3);
          line.takeAll();
          line.transport.stalled = stalled;
          assert.equal(said, turn * owed);
          assert.equal(slotsInUse(), 0);
        }
        line.assertAllInOrder(said);
      });
    }
  }
}

for (const engine of ["wasm", "native"] as const) {
  test(`${engine}: nothing is sealed between the pieces of a large frame, whatever is owed and however few slots are left`, () => {
    withFreeSlots(0, () => {
      const line = new Line(true, engine);
      let said = 0;
      line.sender.collect = () => {
        said++;
        line.sender.append(0, OWED, new Uint8Array(20));
      };
      line.sender.owe();
      // Each piece is written while the next one is not sealed yet; what is owed gets a frame of its own, without a slot.
      line.append(1, 300_000);
      line.takeAll();
      assert.equal(said, 1);
      line.assertAllInOrder(1);
    });
  });
}

const writesBegin: Record<string, (line: Line) => void> = {
  "at the end of a turn": (line) => {
    line.append(1);
    line.endTurn();
  },
  "at the end of a read": (line) => {
    line.sender.readBegins();
    line.append(1);
    const before = performance.now();
    assert.ok(line.sender.readEnds()! >= before);
    assert.equal(line.sender.readEnds(), undefined);
  },
  "when the write before it is done": (line) => {
    line.append(1);
    line.endTurn();
    line.append(1);
    line.takeOne();
  },
  "within a turn, because it is full": (line) => {
    line.append(80);
    assert.ok(line.transport.written.length > 1);
    line.endTurn();
  },
};

for (const [when, begin] of Object.entries(writesBegin)) {
  test(`a write that begins ${when} has its time limit`, async () => {
    const line = new Line(true, "auto", 64);
    line.transport.stalled = true;
    begin(line);
    await waitFor(() => line.stalls > 0, "the peer is given up");
    line.close();
    assert.equal(timers.size, 0);
  });
}

test("long messages of one turn leave in full pieces, as they are sealed; their last bytes leave when the turn ends", () => {
  const line = new Line();
  const before = line.transport.written.length;
  line.append(8, 65_536);
  const during = line.transport.written.slice(before).map(bytesLeft);
  assert.deepEqual(during, new Array(8).fill(PIECE_BYTES));
  const rest = line.sender.pendingBytes;
  assert.equal(rest, 8 * (65_536 + LENGTH_BYTES + KIND_HEADER_BYTES + TAG_BYTES - PIECE_BYTES));
  line.endTurn();
  assert.equal(line.transport.written.at(-1)!.length, rest);
  assert.equal(line.sender.pendingBytes, 0);
  // During a read they leave when it ends.
  line.sender.readBegins();
  line.append(1, 65_536);
  assert.ok(line.sender.pendingBytes > 0);
  line.sender.readEnds();
  assert.equal(line.sender.pendingBytes, 0);
  line.assertAllInOrder();
});

test("the last bytes of a long message leave before what was appended after it, whatever that is", () => {
  for (const freeSlots of [0, 1, 200]) {
    withFreeSlots(freeSlots, () => {
      for (const stalled of [false, true]) {
        const line = new Line();
        line.transport.stalled = stalled;
        for (const bodyBytes of [
          65_536, 20, 40_000, 100_000, 30_000, 30_000, 30_000, 65_536, 1_000, 33_000,
        ]) {
          line.append(1, bodyBytes);
          if (bodyBytes === 100_000) line.endTurn();
        }
        line.takeAll();
        line.assertAllInOrder();
      }
    });
  }
});

test("the last bytes of a turn's long messages wait as they are: those of the next turn begin a piece", () => {
  const line = new Line();
  line.transport.stalled = true;
  const before = line.transport.written.length;
  const frameBytes = 65_536 + LENGTH_BYTES + KIND_HEADER_BYTES + TAG_BYTES;
  for (let turn = 0; turn < 3; turn++) {
    line.append(1, 65_536);
    line.endTurn();
  }
  line.takeAll();
  const ofOne = [PIECE_BYTES, frameBytes - PIECE_BYTES];
  assert.deepEqual(line.transport.written.slice(before).map(bytesLeft), [...ofOne, ...ofOne, ...ofOne]);
  line.assertAllInOrder();
});

test("bytes count as taken when they are, whatever overhead later messages without a slot have", async () => {
  const line = new Line();
  line.transport.stalled = true;
  let isTaken = false;
  let told: Promise<void> | undefined;
  withFreeSlots(0, () => {
    line.append(1, 200_000);
    told = line.sender.handedToKernel().then(() => {
      isTaken = true;
    });
    line.append(300);
    line.endTurn();
  });
  for (let writes = 1; writes <= 4; writes++) {
    for (let i = 0; i < 10; i++) await Promise.resolve();
    assert.equal(isTaken, false, `${writes} of 4 writes are under way`);
    line.takeOne();
  }
  await told;
  line.takeAll();
  line.assertAllInOrder();
});

test("a reason counts as told only if it left, not behind the last bytes of a long message that wait", () => {
  for (const stalled of [true, false]) {
    const line = new Line();
    line.sender.readBegins();
    line.append(1, 40_000);
    line.transport.stalled = stalled;
    assert.equal(line.sayWhy(), !stalled);
    line.sender.readEnds();
    line.takeAll();
    line.assertAllInOrder(1);
  }
});

test("a connection that ends inside a write counts nothing afterwards", () => {
  for (const [bodyBytes, lastWrite, stalled] of [
    [200_000, 1, false],
    [200_000, 2, false],
    [200_000, 4, false],
    [1_000, 1, false],
    // The writes that a flush makes.
    [200_000, 2, true],
    [200_000, 3, true],
  ] as const) {
    const line = new Line();
    const { transport } = line;
    transport.stalled = stalled;
    const last = transport.written.length + lastWrite;
    const write = transport.write.bind(transport);
    transport.write = (bytes) => {
      const isTaken = write(bytes);
      if (transport.written.length === last)
        line.sender.close(new SealwireError("ERR_CONNECTION_LOST", "a test"));
      return isTaken;
    };
    line.append(1, bodyBytes);
    line.endTurn();
    if (stalled) {
      transport.stalled = false;
      line.takeOne();
    }
    assert.equal(transport.written.length, last);
    assert.deepEqual(
      [line.sender.pendingBytes, memoryBudget.used],
      [0, 0],
      `${bodyBytes} bytes, write ${lastWrite}`,
    );
  }
});

test("what a connection that is over has not sent is freed at once, and not by the collector", () => {
  const queue = new SendQueue();
  const sealed = new SealedPieces();
  // The first piece was written, and the writer has it.
  const [inWrite, ...waiting] = [1, 2, 3].map(() => new Uint8Array(65_536));
  sealed.pieces.push(inWrite!, ...waiting);
  sealed.complete = true;
  const plain = new PlainLone(new Uint8Array(8), new Uint8Array(65_536).fill(7), 0);
  queue.push(sealed);
  queue.push(plain);
  const line = new Line();
  line.transport.stalled = true;
  const writer = new Writer(0, { onIdle() {}, onStall() {} });
  writer.attach(line.transport);
  queue.writeFirst(session(1, 2), writer);
  queue.clear();
  assert.deepEqual([...waiting, plain.bytes].map(bytesLeft), [0, 0, 0]);
  assert.equal(inWrite!.length, 65_536, "the socket may still read it");
  writer.close();
  writer.releaseMemory();
  assert.equal(inWrite!.length, 0, "the socket is gone");
});

test("memory is counted as it is, and only as long as it is held", () => {
  const line = new Line();
  line.transport.stalled = true;
  const used = memoryBudget.used;
  line.append(1_000);
  line.append(5, 100_000);
  line.endTurn();
  assert.equal(memoryBudget.used - used, line.sender.pendingBytes);
  const least = 1_000 * SMALL_BODY_BYTES + 500_000;
  assert.ok(line.sender.pendingBytes >= least && line.sender.pendingBytes <= least * 1.05);
  line.takeAll();
  assert.equal(memoryBudget.used, used);
  line.transport.stalled = true;
  line.append(1_000);
  line.endTurn();
  line.close();
  assert.equal(memoryBudget.used, used);
});

test("small messages that find no slot are counted with what each costs beside its bytes", () => {
  withFreeSlots(0, () => {
    for (const isStarted of [true, false]) {
      const line = new Line(isStarted);
      line.transport.stalled = true;
      line.append(1_000, 4);
      line.endTurn();
      assert.ok(line.sender.pendingBytes >= 1_000 * 256, `${line.sender.pendingBytes} counted`);
      if (!isStarted) line.start();
      line.takeAll();
      line.assertAllInOrder();
    }
  });
});

test("the budget of the process: who holds the most is stopped first, who holds little goes on", () => {
  setProcessLimits({ maxPendingBytes: 1_048_576 });
  const [greedy, modest] = [new Line(), new Line()];
  greedy.transport.stalled = true;
  modest.transport.stalled = true;
  for (let i = 0; i < 100_000 && !greedy.sender.bytes.overBudget; i++) greedy.append(1);
  const half = greedy.sender.pendingBytes;
  assert.ok(Math.abs(half - 524_288) < 70_000, `${half} bytes of one alone`);
  assert.equal(modest.sender.bytes.overBudget, false, "who holds nothing is never stopped");
  modest.append(100);
  assert.equal(modest.sender.bytes.overBudget, false);
  for (let i = 0; i < 100_000 && !modest.sender.bytes.overBudget; i++) modest.append(1);
  assert.ok(modest.sender.pendingBytes > 200_000, `${modest.sender.pendingBytes} bytes for the other`);
  assert.equal(greedy.sender.bytes.overBudget, true);
  assert.ok(memoryBudget.used <= memoryBudget.limit);
  // What is above the budget goes on when less waits: told once.
  modest.sender.wantRelief();
  greedy.takeAll();
  modest.takeAll();
  assert.deepEqual([greedy.reliefs, modest.reliefs, modest.sender.bytes.overBudget], [0, 1, false]);
  modest.transport.stalled = true;
  modest.append(100);
  modest.endTurn();
  modest.takeAll();
  assert.equal(modest.reliefs, 1, "nobody asked a second time");
});

test("the budget of the process: who waits for what others hold goes on when they free it", async () => {
  setProcessLimits({ maxPendingBytes: 1_048_576 });
  const [one, other] = [new Line(), new Line()];
  one.sender.hold(700_000);
  other.sender.hold(300_000);
  other.sender.wantRelief();
  other.endTurn();
  assert.equal(other.reliefs, 0);
  one.sender.hold(-700_000);
  await waitFor(() => {
    other.endTurn();
    return other.reliefs > 0;
  }, "the relief");
  assert.equal(other.reliefs, 1);
  // A connection that ends waits no longer.
  one.sender.hold(700_000);
  other.sender.wantRelief();
  assert.equal(timers.size, 1);
  other.sender.close(new SealwireError("ERR_CLOSED", "over"));
  other.sender.wantRelief();
  assert.equal(timers.size, 0, "nor does it begin to wait");
  one.sender.hold(-700_000);
  other.endTurn();
  other.sender.hold(-300_000);
  assert.equal(other.flushesAsked, 0, "and nothing is left to be written");
});

test("limits of the process are checked, and set back by leaving them out", () => {
  const refused = (limits: unknown, message: RegExp) =>
    assert.throws(() => setProcessLimits(limits as object), { code: "ERR_INVALID_ARGUMENT", message });
  for (const value of [0, 1_048_575, 1.5e6 + 0.5, Number.NaN, Number.POSITIVE_INFINITY, "2000000", null]) {
    refused({ maxPendingBytes: value }, /^maxPendingBytes /);
  }
  refused({ maxPending: 1 }, /"maxPending"/);
  for (const value of [null, undefined, 5, "x"]) refused(value, /^limits /);
  assert.equal(memoryBudget.limit, 268_435_456);
  setProcessLimits({ maxPendingBytes: 2_000_000 });
  assert.equal(memoryBudget.limit, 2_000_000);
  setProcessLimits({});
  assert.equal(memoryBudget.limit, 268_435_456);
});
