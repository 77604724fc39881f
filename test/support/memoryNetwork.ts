// Sockets in memory that move bytes when a test says so: one client and one server, in one process.

import { runAtEndOfTurn, runSoon, yieldToEventLoop } from "../../src/core/eventLoop.ts";
import type { Adapter, DialEvents, Transport, TransportEvents } from "../../src/rpc/transport.ts";

class MemoryTransport implements Transport {
  readonly remoteAddress = "memory";
  events!: TransportEvents;
  other: MemoryTransport | undefined;
  #pending: Uint8Array | undefined;
  #paused = true;
  #ending = false;
  #gone = false;

  write(bytes: Uint8Array): boolean {
    this.#pending = bytes.slice();
    return false;
  }

  unwrittenBytes(): number {
    return this.#pending?.length ?? 0;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  end(): void {
    this.#ending = true;
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#pending = undefined;
    runSoon(() => {
      this.events.onClose();
      this.other?.destroy();
    });
  }

  /** Hands what is under way to the other side. False when there is nothing, or it does not read. */
  deliver(): boolean {
    const { other } = this;
    if (other === undefined || this.#gone || other.#gone || other.#paused) return false;
    const bytes = this.#pending;
    if (bytes !== undefined) {
      this.#pending = undefined;
      other.events.onData(bytes);
      if (!this.#gone) this.events.onWritten();
      return true;
    }
    if (!this.#ending) return false;
    this.#ending = false;
    other.events.onEnd();
    return true;
  }
}

export class MemoryNetwork {
  readonly #sides: [client: MemoryTransport, server: MemoryTransport] = [
    new MemoryTransport(),
    new MemoryTransport(),
  ];
  #accept: ((transport: Transport) => TransportEvents) | undefined;

  readonly adapter: Adapter = {
    name: "memory",
    dial: (_address, events) => {
      runSoon(() => this.#open(events));
      return () => {};
    },
    listen: async (_address, accept) => {
      this.#accept = accept;
      return { port: 1, acceptFailures: 0, close: async () => {} };
    },
    defer: runAtEndOfTurn,
    yieldToEventLoop,
  };

  /** Moves what one side has sent: 0 the client, 1 the server. */
  deliver(from: 0 | 1): boolean {
    return this.#sides[from].deliver();
  }

  #open(events: DialEvents): void {
    const [client, server] = this.#sides;
    client.other = server;
    server.other = client;
    client.events = events;
    server.events = this.#accept!(server);
    events.onConnected(client);
  }
}
