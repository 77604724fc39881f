// Sockets in memory, with everything that a network and a kernel may do to them: delay, splitting and coalescing at any
// byte, buffers of any size, stalls, loss in one direction, resets. An Adapter above it (rpc/transport.ts).

import { memory, RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "../../src/core/wasmModule.ts";
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
  /** Chance of a piece to go through the receive window, as Node's client has it, instead of memory of its own. */
  window: number;
}

class ResetError extends Error {
  readonly code = "ECONNRESET";
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

/** Bytes on their way, in order. */
interface Flight {
  readonly at: number;
  bytes: Uint8Array;
}

/** One end of a connection. */
export class End implements Transport {
  readonly remoteAddress: string;
  readonly network: Network;
  peer!: End;
  events: TransportEvents | undefined;
  /** What was sent through it, for those who would replay it. */
  sent: Uint8Array[] = [];
  /** A fault has touched this connection. */
  faulty = false;
  closed = false;
  #paused = true;
  #inbound: Flight[] = [];
  #inboundBytes = 0;
  #lastArrival = 0;
  #pumping = false;
  #stalledUntil = 0;
  #lost = false;
  #pending: Uint8Array | undefined;
  #pendingAt = 0;
  #ending = false;
  #finSent = false;
  #finReceived = false;
  #finHanded = false;

  constructor(network: Network, remoteAddress: string) {
    this.network = network;
    this.remoteAddress = remoteAddress;
  }

  // ---- Transport --------------------------------------------------------------------------------------------

  write(bytes: Uint8Array): boolean {
    if (this.#pending !== undefined) throw new Error("two writes at a time");
    if (this.#ending) throw new Error("a write after the end");
    if (this.closed) return false;
    this.#pending = bytes;
    this.#pendingAt = 0;
    this.#fill();
    if (this.#pendingAt < bytes.length || loop.random.chance(0.3)) {
      this.#fillLater();
      return false;
    }
    this.#pending = undefined;
    return true;
  }

  unwrittenBytes(): number {
    return this.#pending === undefined ? 0 : this.#pending.length - this.#pendingAt;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  end(): void {
    this.#ending = true;
    if (this.#pending === undefined) this.#sendFin();
  }

  destroy(): void {
    if (this.closed) return;
    this.close(undefined);
    // With unread bytes a kernel resets the connection, otherwise it ends the stream.
    if (loop.random.chance(0.5))
      this.network.later(() => this.peer.close(new ResetError("reset by the peer")));
    else this.#sendFin();
  }

  // ---- What happens to it -----------------------------------------------------------------------------------

  /** The socket is gone. */
  close(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#pending = undefined;
    this.#inbound = [];
    this.#inboundBytes = 0;
    loop.after(loop.random.chance(0.5) ? 0 : 1, () => this.events?.onClose(error));
  }

  /** Nothing comes in for a while. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, loop.time + ms);
  }

  /** Nothing comes in any more, and nobody is told. */
  lose(): void {
    this.faulty = true;
    this.peer.faulty = true;
    this.#lost = true;
  }

  reset(): void {
    this.faulty = true;
    this.peer.faulty = true;
    for (const end of [this, this.peer]) this.network.later(() => end.close(new ResetError("reset")));
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.peer.#arrive(undefined);
    this.#closeIfDone();
  }

  /** The kernel takes what it has room for. */
  #fill(): void {
    const bytes = this.#pending!;
    const room = this.network.weather.bufferBytes - this.peer.#inboundBytes;
    const taken = Math.min(room, bytes.length - this.#pendingAt);
    if (taken <= 0) return;
    // Copied now and not before: until then the memory is the socket's.
    const copy = bytes.slice(this.#pendingAt, this.#pendingAt + taken);
    this.#pendingAt += taken;
    if (this.network.records) this.sent.push(copy);
    this.peer.#arrive(copy);
  }

  #fillLater(): void {
    this.network.later(() => {
      if (this.#pending === undefined || this.closed) return;
      this.#fill();
      // Otherwise the peer calls when it has read.
      if (this.#pendingAt < this.#pending.length) return;
      this.#pending = undefined;
      this.events?.onWritten();
      if (this.#ending) this.#sendFin();
    });
  }

  #arrive(bytes: Uint8Array | undefined): void {
    if (this.closed || this.#lost) {
      if (bytes !== undefined && this.#lost) this.#inboundBytes += bytes.length;
      return;
    }
    const at = Math.max(this.#lastArrival, loop.time + this.network.delay());
    this.#lastArrival = at;
    if (bytes === undefined) this.#finReceived = true;
    else {
      this.#inbound.push({ at, bytes });
      this.#inboundBytes += bytes.length;
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.closed) return;
    this.#pumping = true;
    const next = this.#inbound[0]?.at ?? this.#lastArrival;
    loop.after(Math.max(next, this.#stalledUntil, loop.time) - loop.time, () => {
      this.#pumping = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    if (this.closed || this.#paused || this.events === undefined || this.#lost) return;
    if (loop.time < this.#stalledUntil) return this.#pump();
    const piece = this.#take(loop.random.between(1, this.network.weather.pieceBytes));
    if (piece !== undefined) {
      loop.note(piece.length);
      this.peer.#fillLater();
      this.#give(this.events, piece);
    } else if (this.#finReceived && this.#inbound.length === 0 && !this.#finHanded) {
      this.#finHanded = true;
      this.events.onEnd();
      this.#closeIfDone();
    }
    if (this.#inbound.length > 0 || (this.#finReceived && !this.#finHanded)) this.#pump();
  }

  /** What has arrived, up to so many bytes. */
  #take(most: number): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    let left = most;
    while (left > 0 && this.#inbound.length > 0 && this.#inbound[0]!.at <= loop.time) {
      const first = this.#inbound[0]!;
      const part = first.bytes.subarray(0, left);
      left -= part.length;
      parts.push(part);
      if (part.length === first.bytes.length) this.#inbound.shift();
      else first.bytes = first.bytes.subarray(part.length);
    }
    if (parts.length === 0) return undefined;
    const piece = new Uint8Array(most - left);
    let at = 0;
    for (const part of parts) {
      piece.set(part, at);
      at += part.length;
    }
    this.#inboundBytes -= piece.length;
    return piece;
  }

  #give(events: TransportEvents, piece: Uint8Array): void {
    if (piece.length <= RECEIVE_WINDOW_BYTES && loop.random.chance(this.network.weather.window)) {
      memory.set(piece, RECEIVE_WINDOW);
      events.onWindow(piece.length);
      return;
    }
    events.onData(piece);
    // Valid during the call only.
    piece.fill(0xee);
  }

  #closeIfDone(): void {
    if (this.#finSent && this.#finHanded) this.close(undefined);
  }
}

export class Network implements Adapter {
  readonly name = "simulated";
  readonly weather: Weather;
  /** Keeps what is sent. */
  records = true;
  /** Connections that were made: client's end, server's end. */
  readonly pairs: [End, End][] = [];
  readonly #listeners = new Map<number, (transport: Transport) => TransportEvents>();
  readonly #random: Random;
  #ports = 1;
  readonly faults = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as FaultCounts;

  constructor(weather: Weather, random: Random) {
    this.weather = weather;
    this.#random = random;
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
    const client = new End(this, "10.0.0.1");
    const server = new End(this, address ?? `10.0.${this.#random.between(0, 3)}.2`);
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
