// Sockets in memory with everything that a network and a kernel may do to them: delay, splitting and coalescing at any
// byte, buffers of any size, stalls, loss in one direction, resets. The sockets are those of sealwire/testing, and a
// seed decides what happens to them. Above them is an Adapter (rpc/transport.ts).

import { type MemoryConditions, MemorySocket } from "../../src/adapters/memorySocket.ts";
import { memory, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "../../src/core/wasmModule.ts";
import type { Adapter, Address, DialEvents, Transport, TransportEvents } from "../../src/rpc/transport.ts";
import type { Random } from "./random.ts";
import { loop, runAtEndOfTurn, yieldToEventLoop } from "./virtualLoop.ts";

/** How a world's network behaves. */
export interface Weather {
  /** Of every hop, at most. */
  latencyMs: number;
  /** Bytes that the kernels of both ends hold for one direction. */
  bufferBytes: number;
  /** The longest piece that is handed out at once. */
  pieceBytes: number;
  /** Chance of each dial to fail. */
  dialFailure: number;
  /** Chance of each connection to meet each of these, some time. */
  reset: number;
  blackHole: number;
  stall: number;
  /** How often that chance is given. */
  misfortunes: number;
  /** When in a connection's life, at most. */
  withinMs: number;
  /** Sockets that the process may have, both ends of each connection; beyond, dials fail and connections are turned away. */
  descriptors: number;
  /** Chance of a piece to go through the receive buffer, as Node's client has it, instead of memory of its own. */
  receiveBuffer: number;
}

class DescriptorError extends Error {
  readonly code = "EMFILE";
}

/** What was done to a world, by kind. */
export const faultKinds = [
  "reset",
  "blackHole",
  "stall",
  "dialFailure",
  "descriptors",
  "loopStall",
  "clockLeap",
  "poolExhausted",
  "replay",
] as const;
export type FaultKind = (typeof faultKinds)[number];
export type FaultCounts = Record<FaultKind, number>;

/** One end of a connection, with what the oracle asks of it. */
export class End extends MemorySocket {
  declare peer: End;
  /** What was sent through it, for those who would replay it. */
  readonly sent: Uint8Array[] = [];
  /** A fault has touched this connection. */
  faulty = false;

  override lose(): void {
    this.#touch();
    super.lose();
  }

  override reset(): void {
    this.#touch();
    super.reset();
  }

  #touch(): void {
    this.faulty = true;
    this.peer.faulty = true;
  }
}

export class Network implements Adapter {
  readonly name = "simulated";
  readonly weather: Weather;
  /** Connections that were made: client's end, server's end. */
  readonly pairs: [End, End][] = [];
  readonly #listeners = new Map<number, (transport: Transport) => TransportEvents>();
  readonly #random: Random;
  readonly #conditions: MemoryConditions;
  #ports = 1;
  readonly faults = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as FaultCounts;

  constructor(weather: Weather, random: Random) {
    this.weather = weather;
    this.#random = random;
    this.#conditions = {
      now: () => loop.time,
      after: (ms, run) => loop.after(ms, run),
      delayMs: () => this.delay(),
      bufferBytes: () => weather.bufferBytes,
      pieceBytes: () => random.between(1, weather.pieceBytes),
      restMs: () => 0,
      tellsLater: () => random.chance(0.3),
      // With unread bytes a kernel resets the connection; without, both are tried.
      resets: (unreadBytes) => unreadBytes > 0 || random.chance(0.5),
      closingMs: () => (random.chance(0.5) ? 0 : 1),
      give: (events, piece) => this.#give(events, piece),
      onSent: (end, bytes) => (end as End).sent.push(bytes),
    };
  }

  readonly defer = runAtEndOfTurn;
  readonly yieldToEventLoop = yieldToEventLoop;

  delay(): number {
    return this.#random.chance(0.3) ? 0 : this.#random.next() * this.weather.latencyMs;
  }

  later(callback: () => void): void {
    loop.after(this.delay(), callback);
  }

  listen(_address: Address, accept: (transport: Transport) => TransportEvents) {
    const port = this.#ports++;
    this.#listeners.set(port, accept);
    const close = async (): Promise<void> => {
      this.#listeners.delete(port);
    };
    return Promise.resolve({ port, acceptFailures: 0, close });
  }

  dial(address: Address, events: DialEvents): () => void {
    let state: "dialling" | "open" | "over" = "dialling";
    const fail = (error = new Error("the dial failed")): void => {
      if (state !== "dialling") return;
      state = "over";
      this.later(() => events.onClose(error));
    };
    this.later(() => {
      if (state !== "dialling") return;
      if (this.#random.chance(this.weather.dialFailure)) {
        this.faults.dialFailure++;
        return fail();
      }
      if (this.#openSockets() >= this.weather.descriptors) {
        this.faults.descriptors++;
        return fail(new DescriptorError("no descriptor for a socket"));
      }
      const end = this.connect(address.port ?? 0, events);
      if (end === undefined) return fail();
      state = "open";
      events.onConnected(end);
    });
    return () => fail();
  }

  #openSockets(): number {
    // Pairs that are over are at the front, mostly.
    return this.pairs.reduce((sum, pair) => sum + pair.filter(({ closed }) => !closed).length, 0);
  }

  /** A connection to whoever listens there; its client's end. */
  connect(port: number, events: TransportEvents, address?: string): End | undefined {
    const accept = this.#listeners.get(port);
    if (accept === undefined) return undefined;
    const client = new End(this.#conditions, "10.0.0.1");
    const server = new End(this.#conditions, address ?? `10.0.${this.#random.between(0, 3)}.2`);
    client.peer = server;
    server.peer = client;
    client.events = events;
    this.pairs.push([client, server]);
    this.later(() => {
      if (server.closed) return;
      // The listener has none left: the connection is made by the kernel and closed at once.
      if (this.#openSockets() > this.weather.descriptors) {
        this.faults.descriptors++;
        return server.destroy();
      }
      server.events = accept(server);
      if (client.closed) server.close(undefined);
    });
    this.#misfortune(client, server);
    return client;
  }

  #give(events: TransportEvents, piece: Uint8Array): void {
    loop.note(piece.length);
    if (piece.length <= RECEIVE_BUFFER_BYTES && this.#random.chance(this.weather.receiveBuffer)) {
      memory.set(piece, RECEIVE_BUFFER);
      events.onReceiveBuffer(piece.length);
      return;
    }
    events.onData(piece);
    // Valid during the call only.
    piece.fill(0xee);
  }

  #misfortune(...ends: End[]): void {
    const { reset, blackHole, stall, misfortunes, withinMs } = this.weather;
    const some = (kind: FaultKind, run: (end: End) => void): void => {
      const end = this.#random.pick(ends);
      // Early as often as late: a handshake is over in a few round trips.
      loop.after(this.#random.next() ** 3 * withinMs, () => {
        if (end.closed) return;
        this.faults[kind]++;
        run(end);
      });
    };
    if (this.#random.chance(reset)) some("reset", (end) => end.reset());
    if (this.#random.chance(blackHole)) some("blackHole", (end) => end.lose());
    for (let i = 0; i < misfortunes; i++) {
      if (!this.#random.chance(stall)) continue;
      const ms = this.#random.chance(0.1) ? this.#random.between(1, 20_000) : this.#random.between(1, 200);
      some("stall", (end) => end.stall(ms));
    }
  }
}
