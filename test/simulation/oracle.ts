// Compares the promises of a world with its events. Both ends report everything to the oracle. Every broken promise of
// the library is a violation, reported with the seed.

import type { Connection } from "../../src/rpc/peer.ts";

export class Violation extends Error {}

type Fate = "pending" | "accepted" | "refused" | "unknown";

/** The one-way messages of one direction of a connection. */
export interface Stream {
  readonly id: number;
  readonly fates: Fate[];
  /** The next number that may be delivered. */
  next: number;
}

/** A request that waits, or whose answer came. */
export interface Call {
  settled: number;
  delivered: number;
  /** Its error said that no handler began. */
  notBegun: boolean;
}

export class Oracle {
  readonly streams: Stream[] = [];
  readonly calls: Call[] = [];
  readonly violations: string[] = [];
  /** Which stream a receiving connection carries, and the other way round. */
  readonly #carried = new Map<Connection, Stream>();
  readonly #carriers = new Map<Stream, Connection>();
  readonly #sending = new Map<Connection, Stream>();
  /** Handlers and calls of the API that are on the stack now. */
  #stack: string[] = [];
  delivered = 0;

  violated(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  expect(holds: boolean, text: string): void {
    if (!holds) this.violated(text);
  }

  /** A call of the API. Nothing of the application may run inside it. */
  inCall<T>(name: string, call: () => T): T {
    this.#stack.push(name);
    try {
      return call();
    } finally {
      this.#stack.pop();
    }
  }

  /** A handler or listener of the application. */
  inHandler<T>(name: string, run: () => T): T {
    const inside = this.#stack.at(-1);
    this.expect(inside === undefined, `${name} ran inside ${inside}`);
    return this.inCall(name, run);
  }

  /** The stream of what this side sends on a connection. */
  streamOf(connection: Connection): Stream {
    let stream = this.#sending.get(connection);
    if (stream === undefined) {
      stream = { id: this.streams.length, fates: [], next: 0 };
      this.streams.push(stream);
      this.#sending.set(connection, stream);
    }
    return stream;
  }

  /** A one-way message came. */
  arrived(connection: Connection, id: number, number: number): void {
    this.delivered++;
    const stream = this.streams[id];
    if (stream === undefined) return this.violated(`stream ${id} was never sent`);
    const carrier = this.#carriers.get(stream) ?? connection;
    const carried = this.#carried.get(connection) ?? stream;
    this.#carriers.set(stream, carrier);
    this.#carried.set(connection, carried);
    if (carrier !== connection || carried !== stream)
      return this.violated(`a message of stream ${id} came on another connection`);
    const fate = stream.fates[number];
    if (number < stream.next) this.violated(`message ${number} of stream ${id} came again, or late`);
    if (fate === undefined) this.violated(`message ${number} of stream ${id} was never sent`);
    if (fate === "refused") this.violated(`message ${number} of stream ${id} was refused, and came`);
    for (let skipped = stream.next; skipped < number; skipped++) {
      if (stream.fates[skipped] === "refused") continue;
      this.violated(`message ${skipped} of stream ${id} (${stream.fates[skipped]}) was left out`);
      break;
    }
    stream.next = Math.max(stream.next, number + 1);
  }

  /** Everything is over. `untroubled`: streams of connections that met no fault and ended in good order. */
  finish(untroubled: Set<Stream>): void {
    for (const [number, { settled, delivered, notBegun }] of this.calls.entries()) {
      this.expect(settled === 1, `request ${number} settled ${settled} times`);
      this.expect(delivered <= 1, `request ${number} was delivered ${delivered} times`);
      this.expect(!notBegun || delivered === 0, `request ${number} had not begun, it was said, and had`);
    }
    for (const stream of this.streams) {
      this.expect(!stream.fates.includes("pending"), `a promise of stream ${stream.id} never settled`);
      if (!untroubled.has(stream)) continue;
      const lost = stream.fates.findIndex(
        (fate, number) => (fate === "accepted" || fate === "unknown") && number >= stream.next,
      );
      this.expect(
        lost < 0,
        `message ${lost} of stream ${stream.id} was accepted and is lost, without a fault`,
      );
    }
  }
}
