// The share of the event loop that one connection's messages may take: which work counts as work of a turn, on a clock
// of the test, and in which order connections continue after their turn was over.

import assert from "node:assert/strict";
import { resolveLimits } from "../../../src/base/options.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { BASE_SETTINGS, encodeSettings } from "../../../src/protocol/settings.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { Arrivals } from "../../../src/rpc/arrivals.ts";
import { HandlerBudget } from "../../../src/rpc/handlerBudget.ts";
import { Lifecycle } from "../../../src/rpc/lifecycle.ts";
import { Outbox } from "../../../src/rpc/outbox.ts";
import type { Connection, MessageHandler } from "../../../src/rpc/peer.ts";
import { type GatedReader, ReadGate } from "../../../src/rpc/readGate.ts";
import { RequestTable } from "../../../src/rpc/requests.ts";
import { RoundRobin } from "../../../src/rpc/roundRobin.ts";
import { TURN_MS, TurnClock } from "../../../src/rpc/turnClock.ts";
import { TurnQueue } from "../../../src/rpc/turnQueue.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { session } from "../../support/transportSessions.ts";

const MAX_STREAMS = 128;
/** A turn is looked at after so many messages, and no more than 2 ms between two looks count: the second is above 3. */
const A_TURN_OF_MESSAGES = 2 * 32;
const EMPTY = new Uint8Array(0);
const SMALL = encodeWithHead({ method: "m" }, EMPTY);

/** The arrivals of a server's connection, on a clock that the test moves. */
class Arriving {
  ms = 0;
  readonly arrivals: Arrivals;
  readonly outbox: Outbox;
  readonly #session = session(1, 2);
  #next = 1;

  constructor(onMessage: MessageHandler | undefined) {
    const limits = resolveLimits({ maxStreams: MAX_STREAMS, maxPendingBytes: 1_000_000_000 });
    const lifecycle = new Lifecycle(true);
    lifecycle.connected();
    lifecycle.keyed();
    lifecycle.opened();
    const defer = () => {};
    const flushes = new TurnQueue({ defer, yieldToEventLoop: defer });
    const writer = new Writer(0, { onIdle: () => this.outbox.sender.flush(), onStall() {} });
    writer.attach(new FakeTransport());
    const requests = new RequestTable(2, 1, true, () => {});
    this.outbox = new Outbox(
      limits,
      { header: "kind", peerMaxFrameBytes: 0 } as ConstructorParameters<typeof Outbox>[1],
      lifecycle,
      requests,
      flushes,
      writer,
      { onNothingWaits() {}, onEased() {}, onRelief() {}, onFailure: (error) => assert.fail(`${error}`) },
    );
    this.arrivals = new Arrivals(
      "server",
      true,
      {
        limits,
        bodyViews: false,
        exposeErrors: false,
        handlerBudget: new HandlerBudget(1_000),
        onMessage,
        onHandlerError: (error: unknown) => assert.fail(`${error}`),
      } as unknown as ConstructorParameters<typeof Arrivals>[2],
      { connection: {} as Connection, lifecycle, outbox: this.outbox },
      { onSettled() {}, onRoom() {} },
      new TurnClock(this.outbox.sender.bytes, () => this.ms),
    );
    this.arrivals.credit.settingsSent(limits.messageCreditBytes);
    this.outbox.sender.start(this.#session, { kind: Kind.settings, body: encodeSettings(BASE_SETTINGS) });
    this.arrivals.clock.begin();
  }

  /** How many of these calls arrive before the turn is over, each of which takes so long; `most` when it never is. */
  until(call: Uint8Array, eachMs: number, most = 2_000): number {
    for (let count = 0; count < most; count++) {
      if (this.arrivals.clock.isOver) return count;
      this.ms += eachMs;
      this.arrivals.call(this.#next, call, 0, call.length, true, 0);
      this.#next += 2;
    }
    return most;
  }

  close(): void {
    this.outbox.sender.close(new Error("the test is over") as never);
    this.#session.destroy();
  }
}

function arriving(onMessage: MessageHandler | undefined, check: (connection: Arriving) => void): void {
  const connection = new Arriving(onMessage);
  try {
    check(connection);
  } finally {
    connection.close();
  }
}

const answer: MessageHandler = (message) => void message.reply(EMPTY);
/** Refused before any handler: streams above the limit, and a deadline that has passed. */
const tooManyStreams = encodeWithHead({ method: "m", streams: true, streamCredit: 1 }, EMPTY);
const expired = encodeWithHead({ method: "m", deadlineMs: 0 }, EMPTY);

test("handlers are work of their turn, and time that nothing counts in is not", () => {
  arriving(answer, (connection) => {
    assert.equal(connection.until(SMALL, 1), A_TURN_OF_MESSAGES);
    connection.arrivals.clock.begin();
    assert.equal(connection.until(SMALL, 0), 2_000, "messages that take no time");
    connection.ms += 1_000;
    assert.equal(connection.until(SMALL, 0, 33), 33, "a single leap of the clock");
  });
});

for (const [what, call, onMessage] of [
  ["deadlines that have passed", expired, answer],
  ["streams above the limit", tooManyStreams, (() => new Promise(() => {})) as MessageHandler],
  ["calls of a side that handles none", SMALL, undefined],
] as const) {
  test(`refusals are work of their turn, as handlers are: ${what}`, () => {
    arriving(onMessage, (connection) => {
      if (call === tooManyStreams) connection.until(call, 0, MAX_STREAMS);
      connection.arrivals.clock.begin();
      const refused = connection.until(call, 1);
      assert.equal(refused, A_TURN_OF_MESSAGES, "calls that were refused until the turn was over");
      connection.arrivals.clock.begin();
      assert.equal(connection.arrivals.clock.isOver, false);
    });
  });
}

test("a long answer is as much work as many short ones", () => {
  const long = new Uint8Array(200_000);
  arriving(
    (message) => void message.reply(long),
    (connection) => {
      assert.equal(connection.until(SMALL, TURN_MS), 2, "answers of 200 KB that take a whole turn each");
      connection.arrivals.clock.begin();
      assert.equal(connection.until(SMALL, TURN_MS), 2, "and in the next turn");
      connection.arrivals.clock.begin();
      assert.equal(connection.until(SMALL, 2 * TURN_MS), 1, "one that takes more than a turn is one");
    },
  );
});

/** An event loop that looks for events when the test says so. */
class Loop {
  ms = 0;
  yielded: (() => void)[] = [];
  deferred: (() => void)[] = [];
  readonly runtime = {
    yieldToEventLoop: (callback: () => void): void => void this.yielded.push(callback),
    defer: (callback: () => void): void => void this.deferred.push(callback),
  };
  readonly rounds = new RoundRobin(this.runtime, () => this.ms);
  readonly resumptions = new TurnQueue(this.runtime);

  look(): void {
    assert.ok(this.yielded.length <= 1, "one look is asked for, however many wait");
    for (const callback of this.yielded.splice(0)) callback();
    this.endTurn();
  }

  endTurn(): void {
    for (let i = 0; i < 100 && this.deferred.length > 0; i++)
      for (const callback of this.deferred.splice(0)) callback();
  }
}

test("all who wait have one turn together between two looks of the event loop, in their order", () => {
  const loop = new Loop();
  const went: string[] = [];
  const join = (name: string, takesMs: number): void =>
    loop.rounds.join({
      goOn() {
        went.push(name);
        loop.ms += takesMs;
        if (takesMs >= TURN_MS) join(name, takesMs);
      },
    });
  for (const name of ["a", "b", "c"]) join(name, TURN_MS);
  for (const name of ["short 1", "short 2"]) join(name, TURN_MS / 4);
  assert.deepEqual(went, [], "nobody goes on before the event loop has looked");
  const looks: string[][] = [];
  for (let i = 0; i < 5; i++) {
    loop.look();
    looks.push(went.splice(0));
  }
  assert.deepEqual(looks, [["a"], ["b"], ["c"], ["short 1", "short 2", "a"], ["b"]]);
});

test("who joins meanwhile waits for the next look of the event loop", () => {
  const loop = new Loop();
  const went: unknown[] = [];
  const last = { goOn: () => went.push("last") };
  loop.rounds.join({
    goOn() {
      loop.rounds.join(last);
      went.push("first");
    },
  });
  loop.rounds.join({ goOn: () => went.push("second") });
  loop.look();
  assert.deepEqual(went.splice(0), ["first", "second"]);
  loop.look();
  assert.deepEqual(went, ["last"]);
  loop.look();
  assert.equal(
    loop.yielded.length,
    0,
    "nobody waits, so no look is asked for after the one asked for in advance",
  );
});

/** A connection with so many messages, each of which takes a whole turn. */
class Busy implements GatedReader {
  readonly stopped = false;
  readonly outputBlocked = false;
  handled = 0;
  waiting: number;
  turnIsOver = false;
  readonly gate: ReadGate;

  constructor(loop: Loop, waiting: number, budget = new HandlerBudget(1)) {
    this.waiting = waiting;
    this.gate = new ReadGate(this, loop.resumptions, loop.rounds, budget);
  }

  get nothingWaits(): boolean {
    return this.waiting === 0;
  }

  get ready(): boolean {
    return !this.turnIsOver;
  }

  beginTurn(): void {
    this.turnIsOver = false;
  }

  handleWaiting = (): void => {
    for (; this.ready && this.waiting > 0; this.waiting--) {
      this.handled++;
      this.turnIsOver = true;
    }
  };

  turnTaken = (_at?: number): number => 0;

  holdSocket(): void {}
  releaseSocket(): void {}
  pauseSocket(): void {}
  resumeSocket(): void {}
  corkOutput(): void {}
  uncorkOutput = (): number | undefined => undefined;
  wantRelief(): void {}
  resumed = (): void => {};
  failed = (error: unknown): void => assert.fail(`${error}`);
}

test("the time that the end of a read was told is used for its turn, and else the clock", () => {
  const busy = new Busy(new Loop(), 0);
  const told: unknown[] = [];
  busy.turnTaken = (at) => told.push(at);
  busy.gate.handle(() => {});
  busy.uncorkOutput = () => 5;
  busy.gate.handle(() => {});
  assert.deepEqual(told, [undefined, 5]);
  let ms = 0;
  const clock = new TurnClock({ accepted: 0 }, () => ms);
  clock.begin();
  ms = 0.25;
  assert.equal(clock.taken(0.125), 0.125);
  assert.equal(clock.taken(), 0.25);
});

test("nothing brings a connection another turn before the others had theirs", () => {
  const loop = new Loop();
  const busy = new Busy(loop, 10);
  busy.gate.handle(busy.handleWaiting);
  assert.equal(busy.handled, 1);
  const attempts: [string, () => void][] = [
    ["a handler is done, or less output waits", () => busy.gate.schedule()],
    ["other connections' handlers are done", () => busy.gate.roomForHandlers()],
    ["another read", () => busy.gate.handle(busy.handleWaiting)],
  ];
  for (const [what, attempt] of attempts) {
    attempt();
    loop.endTurn();
    assert.equal(busy.handled, 1, what);
  }
  loop.look();
  assert.equal(busy.handled, 2);
  for (let i = 0; i < 20; i++) loop.look();
  assert.deepEqual([busy.handled, busy.waiting], [10, 0]);
});

test("a connection of which handling fails loses its own life, and nobody else a turn", () => {
  const loop = new Loop();
  const failing = new Busy(loop, 10);
  const busy = new Busy(loop, 3);
  for (const one of [failing, busy]) one.gate.handle(one.handleWaiting);
  const failure = new Error("from the handling");
  const failed: unknown[] = [];
  failing.failed = (error) => failed.push(error);
  failing.handleWaiting = () => {
    throw failure;
  };
  failing.resumed = () => {
    throw failure;
  };
  failing.waiting = 0;
  for (let i = 0; i < 5; i++) loop.look();
  assert.deepEqual(failed, [failure, failure], "of the handling, and of what follows it");
  assert.equal(busy.waiting, 0);
});

test("room among the handlers goes to the next one while a connection waits for its turn", () => {
  const loop = new Loop();
  const budget = new HandlerBudget(1);
  const busy = new Busy(loop, 10, budget);
  busy.gate.handle(busy.handleWaiting);
  budget.begin();
  budget.waitForRoom(busy.gate);
  let told = 0;
  budget.waitForRoom({ roomForHandlers: () => told++ });
  budget.end();
  assert.equal(told, 0, "the first who waited is told");
  loop.endTurn();
  assert.equal(told, 1, "and passes it on");
  assert.equal(busy.handled, 1);
});
