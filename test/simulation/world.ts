// One world: a server, clients, the actions of their applications, and a network that a seed decides. oracle.ts has the
// promises that must hold.

import type { SealwireError } from "../../src/base/errors.ts";
import { expandedKeys } from "../../src/core/cachedKey.ts";
import { acquireSlot, releaseSlot, slotsInUse } from "../../src/core/slotPool.ts";
import type { CipherName } from "../../src/protocol/handshake.ts";
import { monteV1 } from "../../src/protocol/v1.ts";
import { createApi } from "../../src/rpc/api.ts";
import type { Client } from "../../src/rpc/client.ts";
import { CallbackDeadline } from "../../src/rpc/deadline.ts";
import { memoryBudget } from "../../src/rpc/memoryBudget.ts";
import type { Connection, Message } from "../../src/rpc/peer.ts";
import type { Server } from "../../src/rpc/serverInterface.ts";
import { timers } from "../../src/rpc/timers.ts";
import { type End, type FaultCounts, Network, type Weather } from "./network.ts";
import { Oracle, type Stream } from "./oracle.ts";
import type { Random } from "./random.ts";
import { loop } from "./virtualLoop.ts";

const HEADER_BYTES = 16;
const MAX_STEPS = 400_000;
/** Iterations of loops that a step and a message may cost; 21 were seen. */
const WORK_PER_STEP = 100;

const REPLAYER = "10.9.9.9";
const impossible = new Set(["ERR_DECRYPT", "ERR_PROTOCOL", "ERR_FRAME_TOO_LARGE", "ERR_FRAME_TOO_SHORT"]);
/** What no connection between ends that read may end with. */
const tooSlow = new Set(["ERR_WRITE_TIMEOUT", "ERR_READ_TIMEOUT"]);

/** What a handler does with a message; for requests. */
const behaviours = [
  "echo",
  "later",
  "throw",
  "wait",
  "call back",
  "large",
  "burst",
  "detached",
  "goes on",
] as const;

/** What keeps both ends busy: "call back" and "large". */
const BUSY = [4, 5] as const;

export interface WorldReport {
  readonly seed: number;
  readonly violations: string[];
  readonly fingerprint: number;
  readonly faults: number;
  readonly kinds: FaultCounts;
  readonly delivered: number;
  readonly calls: number;
  readonly steps: number;
  /** Iterations of loops per step and message. */
  readonly work: number;
}

function weatherOf(random: Random, calm: boolean): Weather {
  const bad = !calm && random.chance(0.8);
  /** Faults everywhere, all the time: connections live for parts of a second. */
  const storm = bad && random.chance(0.6);
  const pieceBytes = random.pick([60, 300, 16_384, 65_536, 300_000]);
  return {
    latencyMs: random.pick(storm ? [0, 1, 20] : [0, 1, 20, 200]),
    bufferBytes: pieceBytes < 1_000 ? random.pick([200, 4_096]) : random.pick([16_384, 65_536, 1_048_576]),
    pieceBytes,
    dialFailure: bad ? random.pick([0, 0.1, 0.5]) : 0,
    reset: storm ? 0.7 : bad ? random.pick([0, 0.3]) : 0,
    blackHole: storm ? 0.1 : bad ? random.pick([0, 0.2]) : 0,
    stall: storm ? 0.8 : bad ? random.pick([0, 0.5]) : 0,
    misfortunes: storm ? random.between(2, 40) : 1,
    withinMs: storm ? random.pick([100, 600]) : 3_000,
    descriptors: bad ? random.pick([2, 4, 8, 1_000, 1_000]) : 1_000,
    receiveBuffer: random.pick([0, 0.5, 1]),
  };
}

/** The unsent bytes of all connections together: in some worlds those of one connection stop the others. */
const PROCESS_LIMITS = [150_000, 1_048_576, 268_435_456, 268_435_456];

/** What bodies are cut from: each byte is three more than the one before it. */
const PATTERN = Uint8Array.from({ length: 256 + 70_000 }, (_, i) => 3 * i);
/** 3 · 171 ≡ 1 mod 256: the index of a byte of this value. */
const patternIndexOf = (byte: number): number => (byte * 171) & 0xff;

class World {
  readonly #random = loop.random;
  readonly #oracle = new Oracle();
  readonly #network: Network;
  readonly #v1: boolean;
  readonly #psk: Uint8Array;
  /** ML-KEM costs more than a connection's story. */
  readonly #postQuantum = loop.random.chance(0.1);
  /**
   * Numbers of requests begin again, as after 2^31 of them. Then nobody gives up on a request: its late answer would
   * be taken for the answer to the next one of that number, which 2^31 requests within one time-out are not.
   */
  readonly #reusesNumbers: boolean;
  /**
   * Both ends are busy, with calls back and large answers, and nobody gives up: whatever waits has to come. Nothing
   * fails in such a world, and clients take any number of handlers: two ends that are both at their limits, and call each
   * other, would wait for each other by what the limits say.
   */
  readonly #busy: boolean;
  #server!: Server;
  #clients: Client[] = [];
  /** Ends of connections, as their owners were told: undefined in good order. */
  readonly #ends = new Map<Connection, SealwireError | undefined>();
  readonly #signals: { signal: AbortSignal; message: Message; done: boolean }[] = [];
  readonly #replays = new Set<End>();
  /** Connections as the server has them. */
  readonly #ofServer = new Set<Connection>();
  #running = 0;
  #flows: Promise<void>[] = [];
  #quiet = true;

  constructor() {
    loop.deferHops = this.#random.between(0, 3);
    loop.stallChance = this.#random.pick([0, 0, 0.001, 0.01]);
    loop.stallMs = this.#random.pick([20, 400, 30_000]);
    this.#v1 = this.#random.chance(0.15);
    this.#busy = !this.#v1 && this.#random.chance(0.15);
    this.#network = new Network(weatherOf(this.#random, this.#busy), this.#random);
    this.#reusesNumbers = !this.#busy && this.#random.chance(0.2);
    loop.leapChance = this.#busy ? 0 : this.#random.pick([0, 0, 0, 0.0003]);
    if (this.#busy) loop.stallChance = 0;
    this.#psk = this.#random.bytes(32);
    // By a byte of the psk, so that older seeds draw what they drew.
    memoryBudget.limit = PROCESS_LIMITS[this.#psk[1]! % PROCESS_LIMITS.length]!;
  }

  async run(): Promise<void> {
    const random = this.#random;
    const options = this.#options("server");
    const { listen } = createApi(this.#network);
    this.#server = await listen({ port: 0, ...options });
    const clients = random.between(1, 3);
    for (let i = 0; i < clients; i++) this.#flows.push(this.#client(i));
    // Who has no memory to answer with gives no sign of life in time, which is no deadlock.
    if (random.chance(0.5) && !this.#busy) this.#flows.push(this.#exhaustPool());
    // Protocol v1 proves nothing.
    if (!this.#v1 && random.chance(0.6)) this.#flows.push(this.#replay());
    let over = false;
    Promise.all(this.#flows)
      .then(() => this.#close())
      .then(
        () => {
          over = true;
        },
        (error) => {
          this.#oracle.violated(`an application's flow failed: ${(error as Error).stack}`);
          over = true;
        },
      );
    const ended = await loop.run(() => over, MAX_STEPS);
    this.#oracle.expect(
      ended,
      `not over after ${loop.steps} steps and ${Math.round(loop.time % 2 ** 24)} ms`,
    );
    // Sockets and timers that are left run out.
    await loop.run(() => false, 20_000);
    this.#judge();
    // The wheel counts how often it ran empty until its timer fires: each world begins with none.
    timers.arm(new CallbackDeadline(() => {}), 1);
    await loop.run(() => false, 100);
  }

  // ---- Options ----------------------------------------------------------------------------------------------

  #options(role: "client" | "server") {
    const random = this.#random;
    const maxFrameBytes = random.pick([70_000, 300_000]);
    // By a byte of the psk, so that older seeds draw what they drew.
    const named = ((this.#psk[0]! & 1) === 0 ? "AESGCM" : "ChaChaPoly") as CipherName;
    const cipher = role === "client" ? named : (["AESGCM", "ChaChaPoly"] as const);
    const security = this.#v1
      ? { handshake: monteV1() }
      : { psk: this.#psk.slice(), postQuantum: this.#postQuantum, cipher };
    const waits = this.#reusesNumbers || this.#busy;
    return {
      ...security,
      engine: random.pick(["wasm", "wasm", "auto"] as const),
      messageBodies: random.pick(["copy", "view"] as const),
      maxFrameBytes: 300_000,
      highWaterMarkBytes: random.pick([1_000, 65_536, 1_048_576]),
      maxPendingBytes: random.pick([300_000, 1_200_000, 8_000_000]) + maxFrameBytes,
      maxInFlightRequests: random.pick([4, 64, 1_024]),
      maxConcurrentHandlers: this.#busy && role === "client" ? 65_536 : random.pick([1, 4, 256]),
      maxHandlers: this.#busy && role === "client" ? 65_536 : random.pick([2, 64, 16_384]),
      handshakeTimeoutMs: random.pick([500, 10_000]),
      requestTimeoutMs: waits ? 0 : random.pick([50, 3_000, 30_000]),
      readTimeoutMs: this.#v1 ? 60_000 : 0,
      writeTimeoutMs: random.pick([1_000, 60_000]),
      heartbeatIntervalMs: random.pick([300, 15_000]),
      // On a line of a kilobyte a second a ping is long behind what was said before it.
      heartbeatTimeoutMs: this.#busy ? 30_000 : random.pick([1_000, 10_000]),
      drainTimeoutMs: random.pick([0, 100, 5_000]),
      padding: this.#v1 ? 0 : random.pick([0, 0, 256]),
      bundleBytes: random.pick([0, 600, 65_536]),
      onHandlerError: () => this.#oracle.inHandler("onHandlerError", () => {}),
      onMessage: (message: Message) => this.#oracle.inHandler("a handler", () => this.#handle(message)),
      onConnectionState: (connection: Connection, state: string, error: SealwireError | undefined) => {
        this.#oracle.inHandler(`onConnectionState (${state})`, () => {});
        loop.note(state.length);
        if (state === "open" && role === "server") this.#opened(connection);
        if (role === "server") this.#ofServer.add(connection);
        if (state === "closed") this.#closed(connection, error);
      },
    };
  }

  /** No connection of somebody who replays may open. */
  #opened(connection: Connection): void {
    const replayed = connection.remoteAddress === REPLAYER;
    this.#oracle.expect(!replayed, "a replayed handshake opened a connection");
  }

  /** Every handler that still runs is told. */
  #closed(connection: Connection, error: SealwireError | undefined): void {
    this.#ends.set(connection, error);
    // The network of this world loses bytes, it does not change them.
    if (this.#busy && error !== undefined && tooSlow.has(error.code))
      this.#oracle.violated(`a connection without a fault closed with ${error.code}: ${error.message}`);
    if (error !== undefined && impossible.has(error.code) && connection.remoteAddress !== REPLAYER)
      this.#oracle.violated(`a connection between honest ends closed with ${error.code}: ${error.message}`);
    const running = this.#signals.filter(({ message, done }) => message.connection === connection && !done);
    loop.after(1, () => {
      const lost = running.filter(({ signal }) => !signal.aborted).length;
      this.#oracle.expect(lost === 0, `${lost} handlers were not told that their connection ended`);
    });
  }

  // ---- Applications -----------------------------------------------------------------------------------------

  #body(id: number, number: number, behaviour: number, length: number): Uint8Array {
    const body = new Uint8Array(HEADER_BYTES + length);
    const view = new DataView(body.buffer);
    view.setUint32(0, id);
    view.setUint32(4, number);
    view.setUint32(8, behaviour);
    view.setUint32(12, length);
    const from = patternIndexOf(id + number * 7);
    body.set(PATTERN.subarray(from, from + length), HEADER_BYTES);
    return body;
  }

  #length(): number {
    const random = this.#random;
    if (this.#network.weather.pieceBytes < 1_000 || random.chance(0.8)) return random.between(0, 200);
    return random.chance(0.8) ? random.between(0, 20_000) : random.between(20_000, 69_000);
  }

  /** Reads a body, every byte of it. */
  #read(body: Uint8Array): { id: number; number: number; behaviour: number } | undefined {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    if (body.length < HEADER_BYTES) return this.#damaged();
    const [id, number, behaviour, length] = [0, 4, 8, 12].map((at) => view.getUint32(at)) as number[];
    if (body.length !== HEADER_BYTES + length!) return this.#damaged();
    const from = patternIndexOf(id! + number! * 7);
    if (Buffer.compare(body.subarray(HEADER_BYTES), PATTERN.subarray(from, from + length!)) !== 0)
      return this.#damaged();
    return { id: id!, number: number!, behaviour: behaviour! };
  }

  #damaged(): undefined {
    this.#oracle.violated("bytes came that were not sent");
  }

  /** Sends one way; the oracle is told. */
  #send(connection: Connection, waits: boolean, length = this.#length()): Promise<void> {
    const stream = this.#oracle.streamOf(connection);
    const number = stream.fates.push("pending") - 1;
    const body = this.#body(stream.id, number, 0, length);
    if (!waits) {
      const sent = this.#oracle.inCall("sendNoWait", () => connection.sendNoWait(body));
      stream.fates[number] = sent ? "unknown" : "refused";
      if (sent) body.fill(0xdd);
      return Promise.resolve();
    }
    const sent = this.#oracle.inCall("send", () => connection.send(body));
    // Copied before it returns.
    body.fill(0xdd);
    return sent.then(
      () => {
        stream.fates[number] = "accepted";
      },
      ({ notBegun }: SealwireError) => {
        // What certainly was not sent must not come.
        stream.fates[number] = notBegun ? "refused" : "unknown";
      },
    );
  }

  /** A request whose answer is looked at. `target`: a connection or a client. */
  async #request(target: Connection | Client, behaviour: number): Promise<void> {
    const random = this.#random;
    const call = { settled: 0, delivered: 0, notBegun: false };
    const number = this.#oracle.calls.push(call) - 1;
    const body = this.#body(0, number, behaviour, this.#length());
    const expected = body.slice();
    const abort =
      !this.#reusesNumbers && !this.#busy && random.chance(0.15) ? new AbortController() : undefined;
    const answer = this.#oracle.inCall("request", () => target.request(body, { signal: abort?.signal }));
    body.fill(0xdd);
    if (abort !== undefined) loop.after(random.next() * 500, () => abort.abort(new Error("given up")));
    await answer.then(
      (bytes) => {
        call.settled++;
        const same = Buffer.compare(bytes, expected) === 0;
        if (behaviours[behaviour] !== "large")
          this.#oracle.expect(same, `request ${number}: another's answer`);
        else this.#read(bytes);
      },
      (error: SealwireError) => {
        call.settled++;
        // Where numbers begin again all of a sudden, "the last one that began" says nothing.
        call.notBegun = error.notBegun && !this.#reusesNumbers;
      },
    );
  }

  #handle(message: Message): unknown {
    const told = this.#read(message.body);
    if (told === undefined) return;
    const { id, number, behaviour } = told;
    loop.note(number);
    const { connection } = message;
    const wasRequest = message.expectsReply;
    if (!wasRequest) {
      this.#oracle.arrived(connection, id, number);
      return this.#random.chance(0.1) ? this.#work(5) : undefined;
    }
    const call = this.#oracle.calls[number];
    if (call === undefined) return this.#oracle.violated("a request came that was never made");
    call.delivered++;
    // A view is gone after the first await.
    const body = message.body.slice();
    const reply = (bytes: Uint8Array = body): void => {
      if (message.expectsReply) this.#oracle.inCall("reply", () => message.reply(bytes));
    };
    switch (behaviours[behaviour]) {
      case "later":
        return this.#work(200).then(() => reply());
      case "throw":
        throw new Error("on purpose");
      case "wait":
        if (this.#reusesNumbers || this.#busy) return reply();
        return this.#untilAborted(message);
      case "call back":
        // In protocol v1 each answer would wait behind the other end's pause: time-outs end that.
        if (this.#reusesNumbers && !this.#busy) return reply();
        // A server's limit counts for what its clients call back.
        if (this.#busy && connection !== undefined && !this.#ofServer.has(connection)) return reply();
        this.#flows.push(this.#send(connection, true));
        return this.#request(connection, 0).then(() => reply());
      case "large":
        return reply(this.#body(1, number, 0, this.#network.weather.pieceBytes < 1_000 ? 1_000 : 69_000));
      case "burst":
        for (let i = 0; i < 60; i++) this.#send(connection, false);
        return reply();
      case "detached":
        {
          const watched = this.#watch(message);
          loop.after(this.#random.next() * 300, () => {
            watched.done = true;
            reply();
          });
        }
        return undefined;
      case "goes on":
        reply();
        return this.#untilAborted(message);
      default:
        return reply();
    }
  }

  async #work(ms: number): Promise<void> {
    this.#running++;
    // Often the same, so that several end in one turn.
    await loop.sleep(this.#random.pick([0, 0.1, 0.5, 1]) * ms);
    this.#running--;
    if (this.#random.chance(0.4)) this.#soon(this.#random.between(1, 8));
  }

  /** Something else of the application sends, some promise reactions later in this turn. */
  async #soon(reactions: number): Promise<void> {
    for (let i = 0; i < reactions; i++) await undefined;
    const { connections } = this.#server;
    if (connections.length > 0)
      this.#send(this.#random.pick(connections), false, this.#random.between(0, 200));
  }

  /** Messages to two peers in turn, more than their sockets take. */
  #alternate(): void {
    const { connections } = this.#server;
    if (connections.length < 2 || this.#network.weather.pieceBytes < 1_000) return;
    for (let i = 0; i < 1_500; i++) this.#send(connections[i % 2]!, false, 20);
  }

  #watch(message: Message): { signal: AbortSignal; message: Message; done: boolean } {
    const watched = { signal: message.signal, message, done: false };
    this.#signals.push(watched);
    return watched;
  }

  /** Ends when the signal fires, and never otherwise: a signal that is lost is a handler that hangs. */
  async #untilAborted(message: Message): Promise<void> {
    const watched = this.#watch(message);
    if (!watched.signal.aborted) {
      await new Promise<void>((resolve) => {
        watched.signal.addEventListener("abort", () => resolve());
        // Nobody gives up on a request: handlers that wait would take all permits for ever.
        if (this.#reusesNumbers || this.#busy) loop.after(this.#random.next() * 2_000, resolve);
        // Nor does anybody cancel what is answered; in v2, messages that wait for the credit behind it have no time-out.
        else if (!this.#v1 && !message.expectsReply) loop.after(this.#random.next() * 10_000, resolve);
      });
    }
    watched.done = true;
  }

  async #client(index: number): Promise<void> {
    const random = this.#random;
    const { connect } = createApi(this.#network);
    const client = connect({
      host: "server",
      port: this.#server.port,
      maxConnections: random.between(1, 3),
      dialTimeoutMs: random.pick([100, 5_000]),
      keepConnected: random.chance(0.2),
      ...this.#options("client"),
    });
    this.#clients[index] = client;
    const calls: Promise<void>[] = [];
    const rounds = random.between(3, this.#network.weather.misfortunes > 1 ? 60 : 25);
    for (let round = 0; round < rounds; round++) {
      let connection: Connection | undefined;
      await client.connected().then(
        (open) => {
          connection = open;
        },
        () => {},
      );
      for (let i = random.between(0, 20); i > 0; i--) {
        const behaviour =
          this.#busy && random.chance(0.7) ? random.pick(BUSY) : random.between(0, behaviours.length - 1);
        if (random.chance(0.5)) calls.push(this.#request(client, behaviour));
        else if (connection !== undefined) calls.push(this.#send(connection, random.chance(0.7)));
      }
      if (connection !== undefined && random.chance(0.05)) this.#flood(connection, calls);
      if (connection !== undefined && this.#reusesNumbers) reuseNumbers(connection);
      if (connection !== undefined && random.chance(0.03))
        this.#oracle.inCall("close", () => connection!.close());
      if (random.chance(0.7)) await loop.sleep(random.next() * 200);
    }
    await Promise.all(calls);
    if (random.chance(0.5)) await this.#oracle.inCall("close", () => client.close());
  }

  /** More than the socket takes at once. */
  #flood(connection: Connection, calls: Promise<void>[]): void {
    const most = this.#network.weather.pieceBytes < 1_000 ? 20 : 700;
    for (let i = this.#random.between(10, most); i > 0; i--) calls.push(this.#send(connection, i % 2 === 0));
  }

  /** Others take the pool, for a while. */
  async #exhaustPool(): Promise<void> {
    for (let round = 0; round < 8; round++) {
      await loop.sleep(this.#random.next() * 200);
      const taken: number[] = [];
      this.#network.faults.poolExhausted++;
      const left = this.#random.pick([0, 0, 1, 3, 100]);
      for (let slot = acquireSlot(); slot !== 0; slot = acquireSlot()) taken.push(slot);
      for (let i = 0; i < left; i++) releaseSlot(taken.pop()!);
      if (left === 1) this.#alternate();
      await loop.sleep(this.#random.next() * 600);
      for (const slot of taken) releaseSlot(slot);
    }
  }

  /** Somebody who recorded what clients sent sends it again. */
  async #replay(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await loop.sleep(this.#random.next() * 2_000);
      const recorded = this.#network.pairs.filter(
        ([client]) => client.sent.length > 0 && !this.#replays.has(client),
      );
      if (recorded.length === 0) continue;
      const [victim] = this.#random.pick(recorded);
      let busy = false;
      const onWritten = (): void => {
        busy = false;
      };
      const nothing = { onReceiveBuffer() {}, onData() {}, onWritten, onEnd() {}, onClose() {} };
      const end = this.#network.connect(this.#server.port, nothing, REPLAYER);
      if (end === undefined) return;
      this.#replays.add(end);
      this.#network.faults.replay++;
      end.resume();
      for (const bytes of victim.sent.slice(0, this.#random.between(1, 4))) {
        if (end.closed || busy) break;
        busy = !end.write(bytes);
        await loop.sleep(this.#random.next() * 50);
      }
      await loop.sleep(this.#random.next() * 1_000);
      end.destroy();
    }
  }

  // ---- The end ----------------------------------------------------------------------------------------------

  async #close(): Promise<void> {
    const { replay: _, poolExhausted: __, ...harmful } = this.#network.faults;
    this.#quiet = Object.values(harmful).every((count) => count === 0);
    const closing = [...this.#clients.filter(Boolean), this.#server].map((side) =>
      this.#oracle.inCall("close", () => side.close()),
    );
    await Promise.all(closing);
    await Promise.all(this.#flows);
  }

  #judge(): void {
    const oracle = this.#oracle;
    oracle.finish(this.#untroubled());
    const hanging = this.#signals.filter(({ signal, done }) => !signal.aborted && !done).length;
    oracle.expect(hanging === 0, `${hanging} signals did not fire`);
    oracle.expect(timers.size === 0, `${timers.size} deadlines are left`);
    oracle.expect(slotsInUse() === 0, `${slotsInUse()} slots are left`);
    oracle.expect(expandedKeys() === 0, `${expandedKeys()} expanded keys are left`);
    oracle.expect(memoryBudget.used === 0, `${memoryBudget.used} bytes are counted as held`);
    oracle.expect(this.#running === 0, `${this.#running} handlers run`);
    for (const [client, server] of this.#network.pairs)
      oracle.expect(client.closed && server.closed, "a socket is left");
    const allowed = WORK_PER_STEP * (loop.steps + oracle.delivered + oracle.calls.length);
    oracle.expect(loop.work <= allowed, `${loop.work} iterations of loops for what should take ${allowed}`);
  }

  /** Streams of connections without a fault that both ends ended in good order. */
  #untroubled(): Set<Stream> {
    const untroubled = new Set<Stream>();
    if (!this.#quiet || loop.stalls > 0 || loop.leaps > 0) return untroubled;
    const clean = [...this.#ends.values()].every((error) => error === undefined);
    if (clean) for (const stream of this.#oracle.streams) untroubled.add(stream);
    return untroubled;
  }

  get report() {
    const kinds = { ...this.#network.faults, loopStall: loop.stalls, clockLeap: loop.leaps };
    return {
      kinds,
      violations: this.#oracle.violations,
      fingerprint: loop.fingerprint,
      faults: Object.values(kinds).reduce((sum, count) => sum + count, 0),
      delivered: this.#oracle.delivered,
      calls: this.#oracle.calls.length,
      steps: loop.steps,
      work: loop.work / (loop.steps + this.#oracle.delivered + this.#oracle.calls.length),
    };
  }
}

/** As after 2^31 requests: numbers begin again, and those are skipped that still wait. */
function reuseNumbers(connection: Connection): void {
  const { link } = connection as unknown as { link: { requests: { startAtForTests(number: number): void } } };
  link.requests.startAtForTests(1);
}

/** Runs the world of a seed. */
export async function runWorld(seed: number): Promise<WorldReport> {
  loop.begin(seed);
  const world = new World();
  await world.run();
  return { seed, ...world.report };
}
