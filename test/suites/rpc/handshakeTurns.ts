// Handshakes have a short time together between two polls of the event loop, behind the connections that have proven
// themselves: on a clock and a loop of the test's own, and with a server that gets many first messages in one poll.

import assert from "node:assert/strict";
import { generateKeyPair } from "../../../src/index.ts";
import { noise } from "../../../src/noise.ts";
import type { Handshake, HandshakeFactory, HandshakeResult } from "../../../src/protocol/handshake.ts";
import { AcceptedSocket } from "../../../src/rpc/acceptedSocket.ts";
import { addressGroup } from "../../../src/rpc/addressGroup.ts";
import { Admission } from "../../../src/rpc/admission.ts";
import { resolveAdmission } from "../../../src/rpc/admissionLimits.ts";
import { Establishing } from "../../../src/rpc/establishing.ts";
import { HANDSHAKES_MS } from "../../../src/rpc/handshakeTurns.ts";
import { RoundRobin } from "../../../src/rpc/roundRobin.ts";
import { TURN_MS } from "../../../src/rpc/turnClock.ts";
import { Writer } from "../../../src/rpc/writer.ts";
import { FakeTransport } from "../../support/fakeTransport.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  sleep,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** An event loop that polls when the test says so, and its clock. */
class Loop {
  ms = 0;
  #asked: (() => void)[] = [];
  readonly went: string[] = [];
  readonly rounds = new RoundRobin(
    { yieldToEventLoop: (callback) => void this.#asked.push(callback) },
    () => this.ms,
  );

  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  pass(ms: number): void {
    this.ms += ms;
  }

  /** Who goes on after this poll. */
  poll(): string[] {
    assert.ok(this.#asked.length <= 1, "one poll is asked for, however many wait");
    for (const callback of this.#asked.splice(0)) callback();
    return this.went.splice(0);
  }

  /** A handshake's step, which takes so long. */
  handshake(name: string, takesMs: number): { goOn(): void } {
    return {
      goOn: () => {
        this.ms += takesMs;
        this.went.push(name);
      },
    };
  }

  /** A connection with a full turn of messages, again and again. */
  busy(name: string): void {
    this.rounds.join({
      goOn: () => {
        this.ms += TURN_MS;
        this.went.push(name);
        this.busy(name);
      },
    });
  }
}

const fewAt = (count: number, takesMs: number, loop: Loop): void => {
  for (let i = 0; i < count; i++) loop.rounds.handshakes.join(loop.handshake(`${i}`, takesMs));
};

// ---- The time -------------------------------------------------------------------------------------------

test("handshakes go on in their order, for a limited time between two polls", () => {
  const loop = new Loop();
  fewAt(10, HANDSHAKES_MS / 4, loop);
  assert.deepEqual(loop.went, [], "none before the poll");
  assert.deepEqual(loop.poll(), ["0", "1", "2", "3"]);
  assert.deepEqual(loop.poll(), ["4", "5", "6", "7"]);
  assert.deepEqual(loop.poll(), ["8", "9"]);
  loop.poll();
  assert.equal(loop.isAsked, false, "nobody waits, so no poll is asked for");
});

test("one that takes longer than this time goes on, one per poll", () => {
  const loop = new Loop();
  fewAt(3, 10 * HANDSHAKES_MS, loop);
  for (const name of ["0", "1", "2"]) assert.deepEqual(loop.poll(), [name]);
});

test("a step is free until the time is used up or somebody waits, and again after the poll", () => {
  const loop = new Loop();
  const { handshakes } = loop.rounds;
  const step = (): void => handshakes.run(() => loop.pass(HANDSHAKES_MS / 2));
  step();
  assert.equal(handshakes.isFree, true);
  step();
  assert.deepEqual([handshakes.isFree, loop.isAsked], [false, true]);
  loop.poll();
  assert.equal(handshakes.isFree, true);
  handshakes.join(loop.handshake("waits", 0));
  assert.equal(handshakes.isFree, false, "nobody overtakes who waits");
});

test("the time of a step is counted once and whatever it throws, and steps in it belong to it", () => {
  const loop = new Loop();
  const { handshakes } = loop.rounds;
  const before = loop.rounds.turnMs;
  const failure = new Error("of a step");
  assert.throws(
    () =>
      handshakes.run(() => {
        assert.equal(handshakes.runs, true);
        handshakes.run(() => loop.pass(1));
        throw failure;
      }),
    failure,
  );
  assert.equal(handshakes.runs, false);
  assert.equal(loop.rounds.turnMs, before - 1, "of the turn that all connections share");
});

test("proven connections that wait go first, and handshakes never starve", () => {
  const loop = new Loop();
  const { handshakes } = loop.rounds;
  loop.busy("proven");
  assert.equal(handshakes.isFree, false, "no handshake begins before those whose turn is over");
  fewAt(5, HANDSHAKES_MS / 2, loop);
  assert.deepEqual(loop.poll(), ["proven", "0", "1"]);
  assert.deepEqual(loop.poll(), ["proven", "2", "3"]);
  loop.rounds.spend(TURN_MS);
  assert.deepEqual(loop.poll(), ["proven", "4"], "also after a poll that brought many messages");
});

test("who joins meanwhile goes behind those who wait, within the same time", () => {
  const loop = new Loop();
  const { handshakes } = loop.rounds;
  const again = loop.handshake("again", HANDSHAKES_MS / 4);
  handshakes.join({
    goOn: () => {
      handshakes.join(again);
      loop.went.push("first");
    },
  });
  handshakes.join(loop.handshake("second", HANDSHAKES_MS / 4));
  assert.deepEqual(loop.poll(), ["first", "second", "again"]);
});

// ---- One handshake --------------------------------------------------------------------------------------

const identity = {
  protocol: "test",
  authenticated: false,
  remoteStaticKey: undefined,
  handshakeHash: undefined,
};

/** A server's handshake that takes two messages of 10 bytes; each of them costs time. */
class TwoMessages implements Handshake {
  readonly received: number[] = [];
  destroyed = 0;
  readonly #loop: Loop;
  readonly #costMs: number;
  decision: Promise<void> | undefined;

  constructor(loop: Loop, costMs: number) {
    this.#loop = loop;
    this.#costMs = costMs;
  }

  get expects(): number {
    return this.done ? 0 : 10;
  }

  get done(): boolean {
    return this.received.length === 2;
  }

  send(): undefined {}

  receive(bytes: Uint8Array): Promise<void> | undefined {
    this.#loop.ms += this.#costMs;
    this.received.push(bytes[0]!);
    return this.decision;
  }

  finish(): HandshakeResult {
    return { sendKey: new Uint8Array(32), receiveKey: new Uint8Array(32), identity };
  }

  destroy(): void {
    this.destroyed++;
  }
}

function establish(loop: Loop, costMs: number, isServer = true) {
  const handshake = new TwoMessages(loop, costMs);
  const writer = new Writer(0, { onIdle() {}, onStall() {} });
  writer.attach(new FakeTransport());
  const told = { keys: 0, early: 0, errors: [] as { code?: string }[], reading: [] as boolean[] };
  const establishing = new Establishing(
    handshake,
    writer,
    {
      onKeys: (_result, early) => {
        told.keys++;
        told.early = early.length;
      },
      onFailure: (error) => {
        told.errors.push(error as { code?: string });
        establishing.destroy();
      },
      onReading: (on) => told.reading.push(on),
    },
    isServer ? loop.rounds.handshakes : undefined,
  );
  establishing.advance();
  return { handshake, establishing, told };
}

const message = (n: number, length = 10): Uint8Array => new Uint8Array(length).fill(n);

test("a server's handshakes wait for their turns with all later messages, and nothing is read meanwhile", () => {
  const loop = new Loop();
  const all = [0, 1, 2].map(() => establish(loop, HANDSHAKES_MS));
  const received = (): number[] => all.map(({ handshake }) => handshake.received.length);
  for (const { establishing } of all) establishing.receive(message(1));
  assert.deepEqual(received(), [1, 0, 0]);
  assert.deepEqual(
    all.map(({ told, establishing }) => [told.reading, establishing.waits]),
    [
      [[], false],
      [[false], true],
      [[false], true],
    ],
  );
  loop.poll();
  assert.deepEqual(received(), [1, 1, 0]);
  all[0]!.establishing.receive(message(2));
  assert.deepEqual(received(), [1, 1, 0], "behind those who wait");
  loop.poll();
  assert.deepEqual(received(), [1, 1, 1]);
  loop.poll();
  assert.deepEqual(received(), [2, 1, 1]);
  assert.deepEqual([all[0]!.told.keys, all[0]!.told.reading], [1, [false, true]]);
  assert.deepEqual(all[1]!.told.reading, [false, true]);
});

test("a client's handshakes go on at once, and so do bytes that are no whole message", () => {
  const loop = new Loop();
  const clients = [0, 1, 2].map(() => establish(loop, HANDSHAKES_MS, false));
  for (const { establishing, handshake } of clients) {
    establishing.receive(message(1));
    assert.equal(handshake.received.length, 1);
  }
  loop.rounds.handshakes.join(loop.handshake("another", HANDSHAKES_MS));
  const slow = establish(loop, HANDSHAKES_MS);
  for (let i = 0; i < 9; i++) slow.establishing.receive(message(1, 1));
  assert.equal(slow.establishing.waits, false, "nothing to compute, so it takes no position in the line");
  slow.establishing.receive(message(1, 1));
  assert.equal(slow.establishing.waits, true);
  assert.deepEqual(loop.poll(), ["another"]);
  loop.poll();
  assert.deepEqual(slow.handshake.received, [1]);
});

test("one that ends while it waits computes nothing, and costs the others no time", () => {
  const loop = new Loop();
  loop.busy("proven");
  const ended = Array.from({ length: 50 }, () => establish(loop, HANDSHAKES_MS));
  const last = establish(loop, HANDSHAKES_MS);
  for (const { establishing } of [...ended, last]) establishing.receive(message(1));
  for (const { establishing } of ended) establishing.destroy();
  loop.poll();
  assert.equal(last.handshake.received.length, 1);
  for (const { handshake, told } of ended) {
    assert.deepEqual([handshake.received, handshake.destroyed, told.reading], [[], 1, [false]]);
  }
});

test("a stream that ends meanwhile: what has arrived decides whether the handshake fails", () => {
  for (const [what, bytes, isComplete] of [
    ["all messages", concatenated(message(1), message(2)), true],
    ["and a record behind them", concatenated(message(1), message(2), message(3, 7)), true],
    ["the first message alone", message(1), false],
    ["the first message and a part", concatenated(message(1), message(2, 9)), false],
  ] as const) {
    const loop = new Loop();
    loop.busy("proven");
    const { establishing, told, handshake } = establish(loop, 0);
    establishing.receive(bytes);
    establishing.peerStreamEnded();
    assert.deepEqual(told.errors, [], `${what}: its turn decides`);
    loop.poll();
    assert.equal(told.keys, isComplete ? 1 : 0, what);
    if (isComplete) assert.equal(told.early, bytes.length - 20, what);
    assert.deepEqual(
      told.errors.map(({ code }) => code),
      isComplete ? [] : ["ERR_HANDSHAKE"],
      what,
    );
    assert.ok(handshake.destroyed > 0, what);
  }
  const { establishing, told } = establish(new Loop(), 0);
  establishing.peerStreamEnded();
  assert.equal(told.errors.length, 1, "one that waits for its peer fails at once");
});

function concatenated(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

test("too many bytes while it waits end it once, and its turn passes", () => {
  const loop = new Loop();
  loop.busy("proven");
  const { establishing, told, handshake } = establish(loop, 0);
  establishing.receive(message(1));
  establishing.receive(new Uint8Array(262_144));
  establishing.receive(new Uint8Array(262_144));
  loop.poll();
  assert.deepEqual(told.errors.length, 1);
  assert.deepEqual([handshake.received, told.keys], [[], 0]);
});

test("a decision of the application's comes before the turn, and the rest behind those who wait", async () => {
  const loop = new Loop();
  const decided = deferred();
  const { establishing, told, handshake } = establish(loop, 0);
  handshake.decision = decided.promise;
  establishing.receive(concatenated(message(1), message(2)));
  assert.deepEqual([handshake.received, told.reading], [[1], [false]]);
  loop.busy("proven");
  decided.resolve();
  await decided.promise;
  for (let i = 0; i < 10; i++) await Promise.resolve();
  assert.deepEqual([handshake.received, told.reading], [[1], [false, true, false]]);
  assert.equal(establishing.waits, true);
  handshake.decision = undefined;
  loop.poll();
  assert.deepEqual([handshake.received, told.keys, told.reading], [[1, 2], 1, [false, true, false, true]]);
});

test("a handshake of the application's that throws in its turn ends alone", () => {
  const loop = new Loop();
  loop.busy("proven");
  const [failing, other] = [establish(loop, 0), establish(loop, 0)];
  const failure = new Error("from the application");
  for (const { establishing } of [failing, other]) establishing.receive(message(1));
  failing.handshake.receive = () => {
    throw failure;
  };
  loop.poll();
  assert.deepEqual(failing.told.errors, [failure]);
  assert.deepEqual(other.handshake.received, [1]);
});

// ---- Sockets that wait for their handshake --------------------------------------------------------------

/** An admission whose handshakes take time, and run until the test ends them. */
class Door {
  readonly loop = new Loop();
  readonly admission: Admission;
  readonly admitted: AcceptedSocket[] = [];
  readonly dropped = new Set<AcceptedSocket>();

  constructor(options: Parameters<typeof resolveAdmission>[0], eachMs: number) {
    const events = {
      admit: (socket: AcceptedSocket) => {
        this.loop.ms += eachMs;
        this.admitted.push(socket);
      },
      displace: (socket: AcceptedSocket) => this.admission.ended(socket),
    };
    this.admission = new Admission(resolveAdmission(options, true), events, this.loop.rounds.handshakes);
  }

  /** A socket with a whole first message. */
  accept(address: string): AcceptedSocket {
    const owner = {
      firstMessageBytes: () => 1,
      mostSurplusBytes: 0,
      spoke() {},
      left() {},
      addressTold: () => true,
      headerRefused() {},
    };
    const transport = Object.assign(new FakeTransport(), {
      remoteAddress: address,
      destroy: () => void this.dropped.add(socket),
    });
    const share = this.admission.shareOf(addressGroup(address));
    const socket: AcceptedSocket = new AcceptedSocket(owner, transport, share);
    this.admission.arrived(socket);
    this.admission.spoke(socket);
    return socket;
  }
}

test("first messages of one poll wait for their turns, and the addresses take turns", () => {
  const door = new Door({}, HANDSHAKES_MS);
  const many = Array.from({ length: 20 }, () => door.accept("192.0.2.1"));
  const few = Array.from({ length: 2 }, () => door.accept("192.0.2.2"));
  assert.deepEqual(door.admitted, [many[0]]);
  assert.equal(door.admission.waiting, 21);
  for (let polls = 0; polls < 4; polls++) door.loop.poll();
  assert.deepEqual(door.admitted.slice(1), [many[1], few[0], many[2], few[1]]);
  for (let polls = 0; polls < 17; polls++) door.loop.poll();
  assert.deepEqual([door.admitted.length, door.admission.waiting], [22, 0]);
  door.loop.poll();
  assert.equal(door.loop.isAsked, false);
  door.admission.close();
});

test("limits hold at every turn, and whoever has no place is not begun", () => {
  const door = new Door({ maxHandshakes: 3, maxConnections: 100 }, HANDSHAKES_MS);
  for (let i = 0; i < 10; i++) door.accept(`192.0.2.${i}`);
  for (let polls = 0; polls < 10; polls++) {
    door.loop.poll();
    assert.ok(door.admission.handshakes <= 3);
  }
  assert.equal(door.admitted.length, 3);
  assert.equal(door.loop.isAsked, false, "a place is waited for, not a turn");
  door.admission.proved(door.admitted[0]!);
  door.admission.admitReady();
  assert.equal(door.admitted.length, 4);
  door.admission.close();
});

test("sockets that end before their turn are not begun, nor is any after the server closed", () => {
  const door = new Door({}, HANDSHAKES_MS);
  const [first, ...others] = Array.from({ length: 6 }, (_, i) => door.accept(`192.0.2.${i}`));
  for (const socket of others.slice(0, 3)) socket.onEnd();
  door.loop.poll();
  assert.deepEqual(door.admitted, [first, others[3]]);
  door.admission.close();
  for (let polls = 0; polls < 3; polls++) door.loop.poll();
  assert.equal(door.admitted.length, 2);
  assert.equal(door.loop.isAsked, false);
});

test("where no socket waits for a place, those that wait for a turn do, and end when it brings no place", () => {
  const door = new Door({ maxConnections: 4, maxConnectionWaitMs: 0 }, HANDSHAKES_MS);
  const sockets = Array.from({ length: 6 }, (_, i) => door.accept(`192.0.2.${i}`));
  assert.deepEqual([door.admitted.length, door.dropped.size], [1, 0]);
  for (let polls = 0; polls < 5; polls++) door.loop.poll();
  assert.deepEqual(door.admitted, sockets.slice(0, 4));
  assert.deepEqual([...door.dropped], sockets.slice(4));
  assert.equal(door.admission.refused, 2);
  door.admission.close();
});

test("a wait for a turn has the time of a handshake, one for a place that of a place", async () => {
  const door = new Door(
    { maxConnections: 2, maxConnectionWaitMs: 20, handshakeTimeoutMs: 60_000 },
    HANDSHAKES_MS,
  );
  const sockets = Array.from({ length: 4 }, (_, i) => door.accept(`192.0.2.${i}`));
  await sleep(60);
  assert.equal(door.dropped.size, 0, "their turn has not come");
  door.loop.poll();
  await waitFor(() => door.dropped.size === 2, "the end of those without a place");
  assert.deepEqual(door.admitted, sockets.slice(0, 2));
  door.admission.close();
  const late = new Door({ maxConnectionWaitMs: 10, handshakeTimeoutMs: 20 }, HANDSHAKES_MS);
  for (let i = 0; i < 3; i++) late.accept(`192.0.2.${i}`);
  await waitFor(() => late.dropped.size === 2, "the end of those whose turn does not come");
  late.admission.close();
});

// ---- A server -------------------------------------------------------------------------------------------

/** The server's handshakes, each of whose whole messages keeps the event loop busy for so long; and how many there were. */
function costly(options: Parameters<typeof noise>[0], busyMs: number) {
  const factory = noise(options, "server");
  const counts = { messages: 0 };
  const handshake: HandshakeFactory = {
    name: factory.name,
    format: factory.format,
    anonymous: factory.anonymous,
    firstMessageBytes: (received) => factory.firstMessageBytes!(received),
    destroy: () => factory.destroy?.(),
    create(role, info) {
      const inner = factory.create(role, info);
      return {
        send: () => inner.send(),
        get expects() {
          return inner.expects;
        },
        get done() {
          return inner.done;
        },
        receive(bytes) {
          // A message has a length in front, which costs nothing.
          if (bytes.length > 8) {
            counts.messages++;
            for (const end = performance.now() + busyMs; performance.now() < end; );
          }
          return inner.receive(bytes);
        },
        finish: () => inner.finish(),
        destroy: () => inner.destroy(),
      };
    },
  };
  return { handshake, counts };
}

test("first messages of many who prove nothing do not come before a request of one who has", async () => {
  const psk = v2.options.psk!;
  const { handshake, counts } = costly({ psk }, HANDSHAKES_MS);
  const begunBefore: number[] = [];
  const server = await startServer({
    handshake,
    onMessage: (received) => {
      begunBefore.push(counts.messages);
      echo(received);
    },
  });
  const client = startClient({ psk, port: server.port, maxConnections: 1 });
  assert.equal(fromText(await client.request(text("proven"))), "proven");
  const first = noise({ psk }, "client").create("client", { remoteAddress: "" });
  const recorded = first.send()!.slice();
  first.destroy();
  const peers = await Promise.all(Array.from({ length: 60 }, () => RawPeer.connect(server.port)));
  await waitFor(() => server.waitingSockets === peers.length, "all sockets");
  const before = counts.messages;
  for (const peer of peers) peer.write(recorded);
  const answered = client.request(text("among them"));
  // All of it lies in the kernel before the server reads any.
  for (const end = performance.now() + 20; performance.now() < end; );
  assert.equal(fromText(await answered), "among them");
  const begun = begunBefore[1]! - before;
  assert.ok(begun < peers.length / 4, `${begun} of ${peers.length} handshakes came before the request`);
  await waitFor(() => counts.messages - before === peers.length, "the others");
  for (const peer of peers) await peer.destroy();
});

test("who comes with many is served, in handshakes of three messages as well", async () => {
  const keys = generateKeyPair();
  const psk = v2.options.psk!;
  const { handshake, counts } = costly(
    { psk, pattern: "XX", staticKey: keys.privateKey, authorize: () => true },
    HANDSHAKES_MS,
  );
  const server = await startServer({ handshake, onMessage: echo });
  const own = { psk, pattern: "XX", authorize: () => true, port: server.port, maxConnections: 1 } as const;
  const clients = Array.from({ length: 20 }, () =>
    startClient({ ...own, staticKey: generateKeyPair().privateKey }),
  );
  const answers = await Promise.all(clients.map((client, i) => client.request(text(`${i}`))));
  assert.deepEqual(
    answers.map(fromText),
    clients.map((_, i) => `${i}`),
  );
  assert.equal(counts.messages, 2 * clients.length);
  assert.equal(server.refusedConnections, 0);
});
