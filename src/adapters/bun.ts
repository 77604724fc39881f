// Bun's own sockets.

import { outOfContext, runAtEndOfTurn, runSoon, yieldToEventLoop } from "../core/eventLoop.ts";
import { release } from "../core/release.ts";
import type { Adapter, Address, DialEvents, Listener, Transport, TransportEvents } from "../rpc/transport.ts";

/** The part of Bun's socket API that is used here. */
interface BunSocket {
  data: SocketState;
  readonly remoteAddress: string;
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  shutdown(): void;
  terminate(): void;
  setNoDelay(on: boolean): boolean;
}
interface BunHandlers {
  open(socket: BunSocket): void;
  data(socket: BunSocket, bytes: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
  connectError?(socket: BunSocket, error: unknown): void;
}
interface BunWhere {
  hostname?: string;
  port?: number;
  unix?: string;
}
interface BunApi {
  connect(
    options: BunWhere & { socket: BunHandlers; allowHalfOpen: boolean; data?: SocketState },
  ): Promise<unknown>;
  listen(options: BunWhere & { socket: BunHandlers; allowHalfOpen: boolean; data?: SocketState }): {
    readonly port?: number;
    stop(closeActiveConnections?: boolean): void;
  };
}

declare const Bun: BunApi;

/** What belongs to one socket. */
class SocketState {
  events: TransportEvents | undefined;
  transport: BunTransport | undefined;
  failure: unknown;
  /** The peer's end of stream was reported. */
  ended = false;
}

class BunTransport implements Transport {
  readonly #socket: BunSocket;
  /** What the kernel did not take: Bun keeps nothing. */
  #rest: Uint8Array | undefined;
  #endSent = false;
  #closed = false;

  constructor(socket: BunSocket) {
    this.#socket = socket;
  }

  get remoteAddress(): string {
    return this.#closed ? "" : (this.#socket.remoteAddress ?? "");
  }

  write(bytes: Uint8Array): boolean {
    const taken = this.#socket.write(bytes);
    if (taken === bytes.length) return true;
    // -1: the socket is closing; the close event follows.
    this.#rest = taken > 0 ? bytes.subarray(taken) : bytes;
    return false;
  }

  /** The kernel has room again. True when the pending write is complete. */
  drain(): boolean {
    if (this.#rest === undefined) return false;
    const taken = this.#socket.write(this.#rest);
    if (taken < this.#rest.length) {
      if (taken > 0) this.#rest = this.#rest.subarray(taken);
      return false;
    }
    this.#rest = undefined;
    return true;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#endSent = true;
    this.#socket.shutdown();
  }

  /** This side sent the end of its stream, and nobody destroyed the socket. */
  get waitsForEnd(): boolean {
    return this.#endSent && !this.#closed;
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Bun calls close() from inside terminate(); nobody above expects that from a method of theirs.
    runSoon(() => this.#socket.terminate());
  }

  closed(): void {
    this.#closed = true;
    this.#rest = undefined;
  }
}

function where(address: Address): BunWhere {
  return address.path === undefined ? { hostname: address.host, port: address.port } : { unix: address.path };
}

/** `open` is the one thing that differs between dialled and accepted sockets. */
function handlers(open: (socket: BunSocket) => void): BunHandlers {
  return {
    open,
    data: (socket, bytes) => {
      socket.data.events?.onData(bytes);
      release(bytes);
    },
    drain: (socket) => {
      if (socket.data.transport?.drain()) socket.data.events?.onWritten();
    },
    end: (socket) => {
      socket.data.ended = true;
      socket.data.events?.onEnd();
    },
    close: (socket, error) => {
      const { events, transport, failure = error, ended } = socket.data;
      // After shutdown() Bun reports the peer's end of stream as the close alone.
      if (transport?.waitsForEnd && !ended && failure === undefined) events?.onEnd();
      socket.data.events = undefined;
      transport?.closed();
      events?.onClose(failure);
    },
    error: (socket, error) => {
      socket.data.failure = error;
    },
  };
}

function dial(address: Address, events: DialEvents): () => void {
  const state = new SocketState();
  state.events = events;
  let cancelled = false;
  const failed = (error: unknown) => {
    if (state.events === undefined) return;
    state.events = undefined;
    // A Unix socket that does not exist fails inside Bun.connect: the caller has not seen its connection yet.
    runSoon(() => events.onClose(error));
  };
  const socket = handlers((opened) => {
    const transport = new BunTransport(opened);
    state.transport = transport;
    opened.setNoDelay(true);
    opened.pause();
    if (cancelled) transport.destroy();
    else events.onOpen(transport);
  });
  socket.connectError = (_socket, error) => failed(error);
  Bun.connect({ ...where(address), socket, allowHalfOpen: true, data: state }).catch(failed);
  return () => {
    cancelled = true;
    // Bun can't give up a connect; the caller is told now, and a socket that opens later is closed at once.
    runSoon(() => failed(new Error("dialling was given up")));
  };
}

async function listen(
  address: Address,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  const socket = handlers((opened) => {
    const state = new SocketState();
    opened.data = state;
    opened.setNoDelay(true);
    opened.pause();
    state.transport = new BunTransport(opened);
    state.events = accept(state.transport);
  });
  const listener = Bun.listen({ ...where(address), socket, allowHalfOpen: true });
  return {
    port: address.path === undefined ? (listener.port ?? 0) : 0,
    close: async () => listener.stop(false),
  };
}

export const bunAdapter: Adapter = {
  name: "bun",
  dial: (address, events) => outOfContext(() => dial(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
