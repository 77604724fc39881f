// The state machines above the handshake: any records in any order, plausible and impossible ones, credit, streams, the
// end of connections and deadlines, against an application that does anything. Time is virtual.

import assert from "node:assert/strict";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { slotsInUse } from "../../src/core/slotPool.ts";
import { messageCost } from "../../src/protocol/credit.ts";
import { encodeError, type Origin } from "../../src/protocol/errorBody.ts";
import { encodeWithHead } from "../../src/protocol/head.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { createApi } from "../../src/rpc/api.ts";
import { CallbackDeadline } from "../../src/rpc/deadline.ts";
import { memoryBudget } from "../../src/rpc/memoryBudget.ts";
import { chunkCost } from "../../src/rpc/outgoingStream.ts";
import { timers } from "../../src/rpc/timers.ts";
import type { Adapter, TransportEvents } from "../../src/rpc/transport.ts";
import type { Random } from "../simulation/random.ts";
import { loop, runAtEndOfTurn, yieldToEventLoop } from "../simulation/virtualLoop.ts";
import { joined, type Level, mutated, someBytes, split } from "./level.ts";
import { FIRST_STREAM_CREDIT, givenKeys, ScriptedPeer, type TheirCall, u32 } from "./scriptedPeer.ts";
import { VictimApplication } from "./victimApplication.ts";

const EMPTY = new Uint8Array(0);
const MAX_STEPS = 200_000;
/** More than the library may ask back for one record of the peer. */
const MOST_ASKED = 128;

interface Spoken {
  readonly sequence: number;
  readonly kind: number;
  readonly body: Uint8Array;
}

/** What the peer says, mostly as it should. */
class Script {
  readonly #random: Random;
  readonly #peer: ScriptedPeer;
  #next: number;
  #drained = false;
  closed = false;
  /** Something was said that the library has to refuse, or may. */
  misbehaved = false;

  constructor(random: Random, peer: ScriptedPeer, first: number) {
    this.#random = random;
    this.#peer = peer;
    this.#next = first;
  }

  /** One record; undefined where nothing of the chosen kind is possible. */
  record(): Spoken | undefined {
    const random = this.#random;
    if (random.chance(0.004)) return this.#impossible();
    switch (random.between(0, 19)) {
      case 0:
      case 1:
      case 2:
        return this.#message();
      case 3:
      case 4:
      case 5:
      case 6:
        return this.#request();
      case 7:
      case 8:
        return this.#chunk();
      case 9:
        return this.#end();
      case 10:
        return this.#ofAsked(Kind.cancel);
      case 11:
        return this.#ofAsked(Kind.stop);
      case 12:
        return this.#ofAsked(Kind.blocked);
      case 13:
        return this.#credit(0);
      case 14:
        return this.#streamCredit();
      case 15:
      case 16:
        return this.#answer();
      case 17:
        this.#peer.pings++;
        return { sequence: random.between(1, 9), kind: Kind.ping, body: EMPTY };
      case 18:
        if (!random.chance(0.05))
          return { sequence: 0, kind: random.pick([Kind.pong, Kind.blocked]), body: EMPTY };
        this.#drained = true;
        return { sequence: 0, kind: Kind.drain, body: EMPTY };
      default:
        if (!random.chance(0.03)) return { sequence: 0, kind: random.between(64, 127), body: EMPTY };
        this.closed = true;
        return { sequence: 0, kind: Kind.close, body: EMPTY };
    }
  }

  #impossible(): Spoken {
    const random = this.#random;
    this.misbehaved = true;
    const numbers = [0, 1, 2, this.#next, 0xffffffff, random.word(), ...this.#peer.mine.keys()];
    const [sequence, kind] = [
      random.pick(numbers),
      random.pick([random.between(0, 17), random.between(0, 127)]),
    ];
    // Whatever comes of it is no fault of the library.
    this.#peer.everAsked.add(sequence);
    if (!this.#peer.mine.has(sequence))
      this.#peer.mine.set(sequence, { streamCredit: 0x7fffffff, credit: undefined, insideItem: false });
    if (kind === Kind.ping) this.#peer.pings++;
    if (kind === Kind.close) this.closed = true;
    if (kind === Kind.credit) this.#peer.giveCredit(sequence, 0x7fffffff);
    return { sequence, kind, body: someBytes(random, random.pick([0, 1, 4, 30, 3_000])) };
  }

  #pays(bytes: number): boolean {
    const peer = this.#peer;
    if (peer.ownBalance <= 0) return false;
    peer.ownBalance -= messageCost(bytes);
    return true;
  }

  #message(): Spoken | undefined {
    const body = this.#body();
    if (this.#drained || !this.#pays(body.length)) return undefined;
    return { sequence: 0, kind: Kind.message, body };
  }

  #request(): Spoken | undefined {
    const random = this.#random;
    const { mine, everAsked } = this.#peer;
    const streams = random.chance(0.5);
    const takes = random.chance(0.7);
    const streamCredit = random.pick([0, 100, 16_384]);
    const isCall = random.chance(0.6);
    const head = {
      method: "m",
      ...(random.chance(0.3) ? { deadlineMs: random.pick([0, 1, 50, 100_000]) } : {}),
      ...(streams ? { streams: true } : {}),
      ...(takes ? { streamCredit } : {}),
    };
    const body = isCall ? encodeWithHead(head, this.#body()) : this.#body();
    if (this.#drained || mine.size >= MOST_ASKED || !this.#pays(body.length)) return undefined;
    const sequence = this.#next;
    this.#next += 2;
    mine.set(sequence, {
      streamCredit: isCall && takes ? streamCredit : 0,
      credit: isCall && streams ? FIRST_STREAM_CREDIT : undefined,
      insideItem: false,
    });
    everAsked.add(sequence);
    return { sequence, kind: isCall ? Kind.call : Kind.message, body };
  }

  /** A call with a direction of this end that is open. */
  #streaming(): [number, TheirCall] | undefined {
    const open = [...this.#peer.mine, ...this.#peer.theirs].filter(([, { credit }]) => credit !== undefined);
    return open.length === 0 ? undefined : this.#random.pick(open);
  }

  #chunk(): Spoken | undefined {
    const [sequence, call] = this.#streaming() ?? [];
    const bytes = this.#body();
    if (call === undefined || call.credit! <= 0) return undefined;
    call.credit! -= chunkCost(bytes.length);
    const flags = this.#random.pick([0, 0, 1]);
    call.insideItem = flags === 1;
    return { sequence: sequence!, kind: Kind.chunk, body: joined(Uint8Array.of(flags), bytes) };
  }

  #end(): Spoken | undefined {
    const [sequence, call] = this.#streaming() ?? [];
    if (call === undefined || call.insideItem) return undefined;
    call.credit = undefined;
    return { sequence: sequence!, kind: Kind.end, body: EMPTY };
  }

  /** Of a request of this end that may have its end, or of one of the library's. */
  #ofAsked(kind: number): Spoken | undefined {
    const { everAsked, mine, theirs } = this.#peer;
    const numbers = kind === Kind.cancel ? [...everAsked] : [...everAsked, ...theirs.keys()];
    if (numbers.length === 0) return undefined;
    const sequence = this.#random.pick(numbers);
    const call = mine.get(sequence);
    // Behind a cancel this end says nothing more of it.
    if (kind === Kind.cancel && call !== undefined) call.credit = undefined;
    return { sequence, kind, body: EMPTY };
  }

  #credit(sequence: number): Spoken {
    const bytes = this.#random.pick([1, 64, 1_000, 20_000]);
    this.#peer.giveCredit(sequence, bytes);
    return { sequence, kind: Kind.credit, body: u32(bytes) };
  }

  #streamCredit(): Spoken | undefined {
    const numbers = [...this.#peer.mine.keys(), ...this.#peer.theirs.keys()];
    return numbers.length === 0 ? undefined : this.#credit(this.#random.pick(numbers));
  }

  #answer(): Spoken | undefined {
    const random = this.#random;
    const numbers = [...this.#peer.theirs.keys()];
    if (numbers.length === 0) return undefined;
    const sequence = random.pick(numbers);
    this.#peer.theirs.delete(sequence);
    const body = this.#body();
    const kind = random.pick([Kind.reply, Kind.answer, Kind.error]);
    if (kind === Kind.answer) return { sequence, kind, body: encodeWithHead({ contentType: 1 }, body) };
    const error = encodeError(random.between(0, 2) as Origin, "CODE", "text");
    return { sequence, kind, body: kind === Kind.error ? error : body };
  }

  #body(): Uint8Array {
    return someBytes(this.#random, this.#random.pick([0, 8, 40, 300, 300, 20_000]));
  }
}

function framesOf(random: Random, script: Script, peer: ScriptedPeer): { bytes: Uint8Array; count: number } {
  const frames: Uint8Array[] = [];
  let count = 0;
  for (let frame = random.between(1, 4); frame > 0 && !script.closed; frame--) {
    const records: Spoken[] = [];
    for (let i = random.pick([1, 1, 4, 20]); i > 0 && !script.closed; i--) {
      const record = script.record();
      if (record !== undefined) records.push(record);
    }
    if (records.length === 0) continue;
    count += records.length;
    const plain = records.map(({ sequence, kind, body }) => joined(u32(sequence), Uint8Array.of(kind), body));
    const alone = joined(
      u32(0),
      Uint8Array.of(Kind.bundle),
      ...plain.flatMap((one) => [u32(one.length), one]),
    );
    let sealed = peer.frame(plain.length === 1 ? plain[0]! : alone);
    if (random.chance(0.001)) {
      script.misbehaved = true;
      sealed = mutated(random, sealed);
    }
    frames.push(sealed);
  }
  return { bytes: joined(...frames), count };
}

function options(random: Random, application: VictimApplication) {
  return {
    handshake: givenKeys,
    engine: random.pick(["wasm", "wasm", "wasm", "auto"] as const),
    messageBodies: random.pick(["copy", "view"] as const),
    maxConcurrentHandlers: random.pick([1, 2, 8, 256]),
    maxHandlers: random.pick([2, 16_384]),
    maxInFlightRequests: random.pick([1, 8, 1_024]),
    highWaterMarkBytes: random.pick([1_000, 1_048_576]),
    maxPendingBytes: random.pick([1_048_576, 8_388_608]),
    messageCreditBytes: random.pick([262_144, 1_048_576]),
    requestTimeoutMs: random.pick([50, 30_000]),
    drainTimeoutMs: random.pick([0, 100, 5_000]),
    heartbeatIntervalMs: random.pick([0, 300, 15_000]),
    heartbeatTimeoutMs: random.pick([1, 10_000]),
    writeTimeoutMs: random.pick([50, 60_000]),
    padding: random.pick([0, 0, 256]),
    bundleBytes: random.pick([0, 600, 65_536]),
    onHandlerError: () => {},
    onMessage: application.onMessage,
    onConnectionState: application.onConnectionState,
  };
}

/** A client or server of the library, connected to the peer. */
async function connected(random: Random, application: VictimApplication, peer: ScriptedPeer, role: string) {
  let accept: ((transport: ScriptedPeer) => TransportEvents) | undefined;
  const adapter: Adapter = {
    name: "scripted",
    dial: (_address, events) => {
      peer.events = events;
      loop.after(0, () => events.onConnected(peer));
      return () => {};
    },
    listen: async (_address, given) => {
      accept = given as never;
      return { port: 1, acceptFailures: 0, close: async () => {} };
    },
    defer: runAtEndOfTurn,
    yieldToEventLoop,
  };
  const api = createApi(adapter);
  if (role === "client") {
    const client = api.connect({ port: 1, maxConnections: 1, ...options(random, application) });
    client.connected().catch(() => {});
    return client;
  }
  const server = await api.listen({ port: 0, ...options(random, application) });
  peer.events = accept!(peer);
  peer.deliver(Uint8Array.of(1));
  return server;
}

async function oneConnection(random: Random): Promise<number> {
  loop.begin(0);
  loop.random = random;
  loop.deferHops = random.between(0, 3);
  const role = random.pick(["client", "server"] as const);
  const application = new VictimApplication(random);
  const peer = new ScriptedPeer(role);
  const script = new Script(random, peer, role === "server" ? 1 : 2);
  const side = await connected(random, application, peer, role);
  await turn();
  peer.deliver(peer.frame(joined(u32(0), Uint8Array.of(Kind.settings))));
  let inputs = 1;
  for (let step = random.between(1, 40); step > 0 && !peer.gone; step--) {
    inputs += await oneStep(random, script, peer, application);
  }
  const closed = await finish(random, peer, side);
  peer.destroyKeys();
  await emptyWheel();
  assert.ok(closed, "close never settled");
  judge(script, application, peer);
  return inputs;
}

async function oneStep(
  random: Random,
  script: Script,
  peer: ScriptedPeer,
  application: VictimApplication,
): Promise<number> {
  let inputs = 0;
  const kind = random.between(0, 19);
  if (kind < 13) {
    const { bytes, count } = framesOf(random, script, peer);
    inputs = count;
    if (random.chance(0.8)) peer.deliver(bytes);
    else for (const piece of split(random, bytes)) peer.deliver(piece);
  } else if (kind < 16) application.act();
  else if (kind === 16) peer.stalled = !peer.stalled;
  else if (kind === 17) await pass(random.pick([1, 60, 400, 20_000]));
  else if (random.chance(0.05)) {
    script.misbehaved = true;
    random.pick([() => peer.reset(), () => peer.endStream()])();
  }
  if (!peer.stalled) peer.takeAgain();
  if (random.chance(0.7)) await turn();
  if (script.closed && random.chance(0.5)) peer.endStream();
  return inputs;
}

/** What is due runs. */
const turn = (): Promise<unknown> => pass(0);

async function pass(ms: number): Promise<void> {
  let over = false;
  loop.after(ms, () => {
    over = true;
  });
  await loop.run(() => over, MAX_STEPS);
}

async function finish(
  random: Random,
  peer: ScriptedPeer,
  side: { close(): Promise<void> },
): Promise<boolean> {
  peer.stalled = false;
  peer.takeAgain();
  let over = false;
  const close = (): void => {
    side.close().then(() => {
      over = true;
    });
  };
  if (random.chance(0.5)) close();
  else loop.after(0, close);
  loop.after(random.pick([0, 1, 10_000]), () => (random.chance(0.5) ? peer.endStream() : peer.reset()));
  loop.after(20_000, () => peer.reset());
  await loop.run(() => over, MAX_STEPS);
  await loop.run(() => false, MAX_STEPS);
  return over;
}

function judge(script: Script, application: VictimApplication, peer: ScriptedPeer): void {
  const { endedWith, owed, hanging, running, mostRunning, nested, strange } = application;
  if (peer.violation !== undefined && !script.misbehaved) throw peer.violation;
  if (strange !== undefined) throw strange;
  const code = endedWith?.code;
  if (!script.misbehaved && (code === "ERR_PROTOCOL" || code === "ERR_DECRYPT"))
    assert.fail(`an honest peer was refused: ${endedWith?.message}`);
  assert.equal(nested, 0, "a handler ran inside a call or a handler");
  assert.equal([...owed.values()].join(", "), "", "promises that never settled");
  assert.equal(hanging, 0, "signals that never fired");
  assert.equal(running, 0, "handlers that never ended");
  assert.ok(mostRunning <= 258, `${mostRunning} handlers at a time`);
  assert.equal(timers.size, 0, "deadlines are left");
  assert.equal(slotsInUse(), 0, "slots are left");
  assert.equal(memoryBudget.used, 0, "bytes are counted as held");
  assert.equal(expandedKeys(), 0, "expanded keys are left");
}

/** The wheel counts how often it ran empty until its timer fires: each connection begins with none. */
async function emptyWheel(): Promise<void> {
  timers.arm(new CallbackDeadline(() => {}), 1);
  await loop.run(() => false, 100);
}

export const protocolLevel: Level = { name: "protocol", run: oneConnection };
