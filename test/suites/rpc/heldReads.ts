// Protocol v2: what a read brings beyond its connection's turn waits, in order, and so does the socket, until the event
// loop has looked for events and the connections before it in the line have gone on. On a clock and a loop of the test's own.

import assert from "node:assert/strict";
import { resolveLimits } from "../../../src/base/options.ts";
import { aes256gcm } from "../../../src/crypto.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { BASE_SETTINGS, encodeSettings } from "../../../src/protocol/settings.ts";
import { FIRST_RESERVED_KIND, Kind } from "../../../src/protocol/wire.ts";
import { Arrivals } from "../../../src/rpc/arrivals.ts";
import { HandlerBudget } from "../../../src/rpc/handlerBudget.ts";
import { Inbox } from "../../../src/rpc/inbox.ts";
import { Intake } from "../../../src/rpc/intake.ts";
import { Lifecycle } from "../../../src/rpc/lifecycle.ts";
import { Outbox } from "../../../src/rpc/outbox.ts";
import type { Connection, Message } from "../../../src/rpc/peer.ts";
import { RequestTable } from "../../../src/rpc/requests.ts";
import { nameOfWorker, RoundRobin, UNPOLLED_ALONE_MS, UNPOLLED_MS } from "../../../src/rpc/roundRobin.ts";
import { LEAST_TURN_MS, TURN_MS, TurnClock } from "../../../src/rpc/turnClock.ts";
import { TurnQueue } from "../../../src/rpc/turnQueue.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { concat, u32 } from "../../support/rawPeer.ts";
import { record } from "../../support/rawSession.ts";
import { checkLeaksAfterEachTest } from "../../support/rpcHarness.ts";
import { format, session } from "../../support/transportSessions.ts";

checkLeaksAfterEachTest();

/** The time is looked at after so many records. */
const LOOK = 32;
/** Requests of a turn, where as many as a look take TURN_MS: no more than 1 ms between two looks counts. */
const A_TURN = 2 * LOOK;
const MOST_HANDLERS = 4;
const EMPTY = new Uint8Array(0);
const expired = encodeWithHead({ method: "m", deadlineMs: 0 }, EMPTY);

/** The event loop and the clock that a server's connections share. */
class Loop {
  ms = 0;
  /** So much time passes with each look at the clock. */
  lookMs = 0;
  #yielded: (() => void)[] = [];
  #deferred: (() => void)[] = [];
  readonly #runtime = {
    yieldToEventLoop: (callback: () => void): void => void this.#yielded.push(callback),
    defer: (callback: () => void): void => void this.#deferred.push(callback),
  };
  readonly time = (): number => {
    this.ms += this.lookMs;
    return this.ms;
  };
  readonly rounds = new RoundRobin(this.#runtime, this.time);
  readonly resumptions = new TurnQueue(this.#runtime);
  readonly flushes = new TurnQueue(this.#runtime);

  get isAsked(): boolean {
    return this.#yielded.length > 0;
  }

  look(): void {
    for (const callback of this.#yielded.splice(0)) callback();
    this.endTurn();
  }

  endTurn(): void {
    for (let i = 0; i < 100 && this.#deferred.length > 0; i++)
      for (const callback of this.#deferred.splice(0)) callback();
  }
}

/** A server's open connection of protocol v2, and its peer, who seals what is read. */
class Reading {
  readonly transport = new FakeTransport();
  readonly #loop: Loop;
  readonly #session = session(1, 2);
  readonly #cipher = aes256gcm(new Uint8Array(32).fill(2));
  #counter = 0;
  readonly outbox: Outbox;
  readonly arrivals: Arrivals;
  readonly inbox: Inbox;
  readonly intake: Intake;
  resumed = 0;

  constructor(loop: Loop, onMessage: (message: Message) => unknown) {
    this.#loop = loop;
    const limits = resolveLimits({ maxPendingBytes: 1_000_000_000, maxConcurrentHandlers: MOST_HANDLERS });
    const lifecycle = new Lifecycle(true);
    lifecycle.connected();
    lifecycle.keyed();
    lifecycle.opened();
    const writer = new Writer(0, { onIdle: () => this.outbox.sender.flush(), onStall() {} });
    writer.attach(this.transport);
    this.transport.resume();
    const requests = new RequestTable(2, 1, true, () => {});
    const fail = (error: unknown) => assert.fail(`${error}`);
    const events = { onNothingWaits() {}, onEased() {}, onRelief() {}, onFailure: fail };
    this.outbox = new Outbox(limits, format, lifecycle, requests, loop.flushes, writer, events);
    const handlerBudget = new HandlerBudget(1_000);
    const context = {
      limits,
      handshake: { format },
      bodyViews: false,
      exposeErrors: false,
      handlerBudget,
      resumptions: loop.resumptions,
      rounds: loop.rounds,
      onMessage,
      onHandlerError: fail,
    };
    const { outbox } = this;
    this.arrivals = new Arrivals(
      "server",
      true,
      context as unknown as ConstructorParameters<typeof Arrivals>[2],
      { connection: {} as Connection, lifecycle, outbox },
      { onSettled: () => this.intake.schedule(), onRoom: () => this.intake.schedule() },
      new TurnClock(outbox.sender.bytes, loop.time),
    );
    this.arrivals.credit.settingsSent(limits.messageCreditBytes);
    outbox.sender.start(this.#session, { kind: Kind.settings, body: encodeSettings(BASE_SETTINGS) });
    const { arrivals, transport } = this;
    this.inbox = new Inbox("server", true, { lifecycle, requests, outbox, arrivals }, {
      onProven() {},
      onAnswered() {},
    } as unknown as ConstructorParameters<typeof Inbox>[3]);
    this.intake = new Intake(
      "server",
      context as unknown as ConstructorParameters<typeof Intake>[1],
      this.#session,
      transport,
      this.inbox,
      arrivals,
      outbox,
      { onResumed: () => this.resumed++, onFailure: fail },
    );
    this.reads(this.frame(0, Kind.settings, Uint8Array.of(1, 0, 4, 2, 0, 0, 0)));
  }

  frame(sequence: number, kind: number, body: Uint8Array): Uint8Array {
    const nonce = concat(new Uint8Array(8), u32(this.#counter++));
    const sealed = this.#cipher.seal(nonce, concat(u32(sequence), Uint8Array.of(kind), body));
    return concat(u32(sealed.length), sealed);
  }

  bundle(count: number, one: (i: number) => Uint8Array): Uint8Array {
    return this.frame(0, Kind.bundle, concat(...Array.from({ length: count }, (_, i) => one(i))));
  }

  reads(...frames: Uint8Array[]): void {
    this.intake.read(concat(...frames));
    this.#loop.endTurn();
  }

  close(): void {
    this.intake.close();
    this.outbox.sender.close(new Error("the test is over") as never);
    this.#session.destroy();
    this.#cipher.destroy();
  }
}

function reading(
  onMessage: (message: Message, loop: Loop) => unknown,
  check: (loop: Loop, ...connections: [Reading, Reading]) => void,
): void {
  const loop = new Loop();
  const connections = [1, 2].map(() => new Reading(loop, (message) => onMessage(message, loop)));
  try {
    check(loop, ...(connections as [Reading, Reading]));
  } finally {
    for (const connection of connections) connection.close();
  }
}

function lookUntil(loop: Loop, isOver: () => boolean): void {
  for (let looks = 0; !isOver(); looks++) {
    assert.ok(loop.isAsked && looks < 100, `after ${looks} looks of the event loop`);
    loop.look();
  }
}

const request = (i: number) => record(2 * i + 1, Kind.message, Uint8Array.of(i >> 8, i & 255));
const numberOf = ({ body }: Message) => (body[0]! << 8) | body[1]!;

for (const [what, inBundle] of [
  ["in a bundle", true],
  ["in frames of their own", false],
] as const) {
  test(`requests beyond a turn wait ${what}, and are handled in their order`, () => {
    const handled: number[] = [];
    const onMessage = (message: Message, loop: Loop): void => {
      handled.push(numberOf(message));
      loop.ms += TURN_MS / LOOK;
      message.reply(EMPTY);
    };
    reading(onMessage, (loop, busy) => {
      const count = 10 * LOOK;
      const alone = (i: number) => busy.frame(2 * i + 1, Kind.message, Uint8Array.of(i >> 8, i & 255));
      if (inBundle) busy.reads(busy.bundle(count, request));
      else busy.reads(...Array.from({ length: count }, (_, i) => alone(i)));
      assert.equal(handled.length, A_TURN);
      assert.equal(busy.transport.paused, true, "the socket is held");
      assert.equal(busy.intake.paused, true, "which whoever watches the peer knows");
      lookUntil(loop, () => handled.length === count);
      assert.deepEqual(
        handled,
        Array.from({ length: count }, (_, i) => i),
      );
      lookUntil(loop, () => !busy.transport.paused);
      assert.deepEqual([busy.intake.paused, busy.intake.nothingWaits], [false, true]);
      assert.ok(busy.resumed > 0, "what waited for the end of reading is told");
    });
  });
}

for (const [what, one] of [
  ["records that ask for nothing", (i: number) => record(2 * i + 1, FIRST_RESERVED_KIND, EMPTY)],
  ["calls that are refused", (i: number) => record(2 * i + 1, Kind.call, expired)],
  ["requests that wait for a handler", request],
] as const) {
  test(`what arrives is work of its turn without any handler: ${what}`, () => {
    const never = (): Promise<void> => new Promise(() => {});
    reading(never, (loop, busy) => {
      // The handlers that there may be run, and nothing more begins: reading goes on all the same.
      busy.reads(busy.bundle(MOST_HANDLERS + 1, (i) => request(1_000 + i)));
      lookUntil(loop, () => !loop.isAsked);
      assert.equal(busy.transport.paused, false);
      loop.lookMs = TURN_MS;
      busy.reads(busy.bundle(10 * LOOK, one));
      assert.deepEqual([busy.transport.paused, busy.intake.paused], [true, true], "the socket is held");
      const { held } = busy.arrivals.credit;
      lookUntil(loop, () => !busy.transport.paused);
      if (what === "records that ask for nothing") assert.equal(busy.inbox.ignoredRecords, 10 * LOOK);
      else assert.ok(busy.arrivals.credit.held > held, "all of them have arrived");
    });
  });
}

test("connections share a turn: who comes behind a busy one has a short one, until the event loop has looked", () => {
  const handled = new Map<number, number>();
  let now = 0;
  const onMessage = (message: Message, loop: Loop): void => {
    handled.set(now, (handled.get(now) ?? 0) + 1);
    loop.ms += TURN_MS / LOOK;
    message.reply(EMPTY);
  };
  reading(onMessage, (loop, busy, other) => {
    busy.reads(busy.bundle(10 * LOOK, request));
    now = 1;
    other.reads(other.bundle(3, request));
    assert.equal(handled.get(1), 3, "what is short is handled at once");
    assert.equal(other.transport.paused, false);
    other.reads(other.bundle(10 * LOOK, (i) => request(100 + i)));
    assert.equal(handled.get(1), 3 + LOOK, "up to the next look at the time");
    assert.equal(other.transport.paused, true);
    lookUntil(loop, () => !busy.transport.paused && !other.transport.paused);
    assert.equal(handled.get(0)! + handled.get(1)!, 3 + 20 * LOOK);
  });
});

test("a turn gets shorter by what others took, down to a least one, and a look makes it whole", () => {
  const loop = new Loop();
  const { rounds } = loop;
  assert.equal(rounds.turnMs, TURN_MS);
  rounds.spend(UNPOLLED_MS);
  assert.equal(loop.isAsked, false, "what is short is not worth a look");
  rounds.spend(LEAST_TURN_MS);
  const left = Math.max(TURN_MS - UNPOLLED_MS - LEAST_TURN_MS, LEAST_TURN_MS);
  assert.deepEqual([rounds.turnMs, loop.isAsked], [left, true]);
  rounds.spend(TURN_MS);
  assert.equal(rounds.turnMs, LEAST_TURN_MS);
  loop.look();
  assert.deepEqual([rounds.turnMs, loop.isAsked], [TURN_MS, false]);
});

test("a connection that works alone asks for a look later; with a second one, at once", () => {
  const loop = new Loop();
  const { rounds } = loop;
  const [one, other] = [nameOfWorker(), nameOfWorker()];
  for (const second of [other, undefined]) {
    rounds.spend(UNPOLLED_ALONE_MS / 2, one);
    rounds.spend(UNPOLLED_ALONE_MS / 2, one);
    assert.deepEqual([rounds.turnMs, loop.isAsked], [LEAST_TURN_MS, false]);
    rounds.spend(0, second);
    assert.equal(loop.isAsked, true);
    loop.look();
    rounds.spend(UNPOLLED_ALONE_MS, one);
    assert.equal(loop.isAsked, false);
    rounds.spend(1, one);
    assert.equal(loop.isAsked, true);
    loop.look();
  }
});

test("a poll that a read has shown counts for all work until the read before it", () => {
  const loop = new Loop();
  const { rounds } = loop;
  const [one, other] = [nameOfWorker(), nameOfWorker()];
  const ended = { one: 0, other: 0 };
  const reads = (who: "one" | "other", ms: number, polled = true): void => {
    if (polled) rounds.pollSeen(ended[who]);
    rounds.spend(ms, who === "one" ? one : other);
    ended[who] = rounds.workedMs;
  };
  for (let i = 0; i < 3; i++) reads("one", UNPOLLED_ALONE_MS);
  assert.equal(
    loop.isAsked,
    false,
    "it works alone, and each of its reads shows that the read before was polled for",
  );
  rounds.pollSeen(ended.one);
  assert.equal(rounds.turnMs, TURN_MS);
  for (let i = 0; i < 10; i++) {
    reads("one", UNPOLLED_MS / 3);
    reads("other", UNPOLLED_MS / 3);
  }
  assert.equal(loop.isAsked, false, "each read shows that all but the last one of the other was polled for");
  for (let i = 0; i < 2; i++) reads("one", UNPOLLED_MS / 2, false);
  assert.equal(loop.isAsked, true, "without a poll between them");
  loop.look();
  reads("one", UNPOLLED_MS / 2);
  for (let i = 0; i < 2; i++) reads("other", UNPOLLED_MS / 2, false);
  assert.equal(loop.isAsked, true);
  rounds.pollSeen(ended.one);
  const { turnMs } = rounds;
  assert.ok(turnMs < TURN_MS - UNPOLLED_MS / 2, "the poll may have come before the work of the other one");
  rounds.pollSeen(0);
  assert.equal(rounds.turnMs, turnMs);
});

test("no read shows a poll for handshakes, whose time begins anew with one that was asked for", () => {
  const loop = new Loop();
  const { rounds } = loop;
  const one = nameOfWorker();
  for (let i = 0; i < 3; i++) {
    for (const ms of [UNPOLLED_MS / 2, UNPOLLED_MS]) {
      assert.equal(loop.isAsked, false);
      rounds.spend(ms);
      rounds.pollSeen(rounds.workedMs);
    }
    assert.equal(loop.isAsked, true);
    loop.look();
    rounds.spend(UNPOLLED_ALONE_MS, one);
    rounds.pollSeen(rounds.workedMs);
    assert.equal(rounds.turnMs, TURN_MS);
  }
});
