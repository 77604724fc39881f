// The adapter for Bun.listen and Bun.connect.

import { detach } from "../core/detach.ts";
import { outOfContext, runAtEndOfTurn, runSoon, yieldToEventLoop } from "../core/eventLoop.ts";
import type {
  Adapter,
  Address,
  DialEvents,
  ListenAddress,
  Listener,
  Transport,
  TransportEvents,
} from "../rpc/transport.ts";
import { DescriptorGuard } from "./descriptors.ts";
import { checkPath, listenFailed } from "./failures.ts";
import { listenByNode } from "./nodeListener.ts";
import { modulesLoading } from "./nodeModules.ts";
import { dialByNode } from "./nodeSockets.ts";
import { closingOwnPath } from "./ownPath.ts";
import { names } from "./resolveName.ts";

/** The part of Bun's socket API that is used here. */
interface BunSocket {
  data: SocketState;
  readonly remoteAddress: string;
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
  shutdown(): void;
  terminate(): void;
  setNoDelay(on: boolean): boolean;
  /** Replaces the handlers. */
  reload(options: { socket: BunHandlers }): void;
}
interface BunHandlers {
  open?(socket: BunSocket): void;
  data(socket: BunSocket, bytes: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
}
interface BunWhere {
  hostname?: string;
  port?: number;
  unix?: string;
}
interface BunListen {
  readonly port?: number;
  ref(): void;
  unref(): void;
  stop(closeActiveConnections?: boolean): void;
}
interface BunApi {
  listen(options: BunWhere & { socket: BunHandlers; allowHalfOpen: boolean }): BunListen;
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
  /** Read at once: Bun forgets the address when the socket is closed. */
  readonly remoteAddress: string;
  readonly #socket: BunSocket;
  /** The bytes that the kernel did not take: Bun does not buffer them. */
  #rest: Uint8Array | undefined;
  #endSent = false;
  #closed = false;

  constructor(socket: BunSocket) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? "";
  }

  write(bytes: Uint8Array): boolean {
    const taken = this.#socket.write(bytes);
    if (taken === bytes.length) return true;
    // −1 means that the socket is closing; the close event follows.
    this.#rest = taken > 0 ? bytes.subarray(taken) : bytes;
    return false;
  }

  unwrittenBytes(): number {
    // Bun reports room only when a third of the kernel's buffer is free. A direct attempt succeeds earlier.
    if (this.drain()) runSoon(() => this.#socket.data.events?.onWritten());
    return this.#rest?.length ?? 0;
  }

  /** The kernel may have room again. True when the pending write is complete. */
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

  keepAlive(on: boolean): void {
    if (this.#closed) return;
    if (on) this.#socket.ref();
    else this.#socket.unref();
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
    // Bun calls close() from inside terminate(), and the caller does not expect an event within its own call.
    runSoon(() => this.#socket.terminate());
  }

  closed(): void {
    this.#closed = true;
    this.#rest = undefined;
  }
}

function where(address: Address): BunWhere {
  checkPath(address);
  return address.path === undefined ? { hostname: address.host, port: address.port } : { unix: address.path };
}

const handlers: BunHandlers = {
  data: (socket, bytes) => {
    socket.data.events?.onData(bytes);
    detach(bytes);
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

/** Takes over a connected socket. It is paused, as every transport is at first. */
function adopt(socket: BunSocket): BunTransport {
  const state = new SocketState();
  socket.data = state;
  socket.setNoDelay(true);
  socket.pause();
  state.transport = new BunTransport(socket);
  return state.transport;
}

/**
 * A `Bun.connect` under way can't be cancelled, and keeps the process alive until the system gives up, which
 * takes minutes. A dial of node:net can be cancelled. This function takes over the socket of Bun's own that
 * is behind a connected socket of node:net, because requests on node:net's streams are slower. If it finds no
 * such socket, it uses the stream.
 */
function dial(address: Address, events: DialEvents): () => void {
  return dialByNode(address, events, (stream) => {
    const socket = (stream as { _handle?: BunSocket })._handle;
    if (typeof socket?.reload !== "function" || typeof socket.terminate !== "function") return undefined;
    const transport = adopt(socket);
    socket.data.events = events;
    socket.reload({ socket: handlers });
    return transport;
  });
}

class BunListener implements Listener {
  readonly #listener: BunListen;
  readonly #guard = new DescriptorGuard("untold");
  readonly #stop: () => void | Promise<void>;
  readonly port: number;

  constructor(address: Address, accept: (transport: Transport) => TransportEvents) {
    const open = (socket: BunSocket): void => {
      const transport = adopt(socket);
      if (this.#guard.admits()) socket.data.events = accept(transport);
      else socket.terminate();
    };
    try {
      this.#listener = Bun.listen({ ...where(address), socket: { ...handlers, open }, allowHalfOpen: true });
    } catch (error) {
      this.#guard.close();
      throw error;
    }
    this.#stop = closingOwnPath(address.path, () => this.#listener.stop(false));
    this.port = address.path === undefined ? (this.#listener.port ?? 0) : 0;
  }

  get acceptFailures(): number {
    return this.#guard.failures;
  }

  keepAlive(on: boolean): void {
    if (on) this.#listener.ref();
    else this.#listener.unref();
  }

  async close(): Promise<void> {
    this.#guard.close();
    await this.#stop();
  }
}

async function listen(
  address: ListenAddress,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  // Bun.listen takes no inherited sockets, and does not report that it can't share a port.
  if (address.fd !== undefined || address.reusePort) return listenByNode(address, accept);
  await modulesLoading();
  try {
    return new BunListener(address, accept);
  } catch (error) {
    throw listenFailed(address, error);
  }
}

export const bunAdapter: Adapter = {
  name: "bun",
  dial: (address, events) => outOfContext(() => dial(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  ...names,
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
