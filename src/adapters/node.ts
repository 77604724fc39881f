// Sockets of node:net. Right on Node, and also where Bun and Deno emulate it: a bundler may have chosen it.

import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { memory, RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "../core/crypto.ts";
import { outOfContext, runAtEndOfTurn, yieldToEventLoop } from "../core/eventLoop.ts";
import { release } from "../core/release.ts";
import type { Adapter, Address, DialEvents, Listener, Transport, TransportEvents } from "../rpc/transport.ts";

/** Dialled sockets read straight into linear memory. One window serves all: each read is handled at once. */
const window = memory.subarray(RECEIVE_WINDOW, RECEIVE_WINDOW + RECEIVE_WINDOW_BYTES);

/** `onread` is Node's; the emulations of other runtimes may ignore it, and then nothing would ever arrive. */
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

class NodeTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #onWrite: () => void;
  /** `socket.write` calls whose callback has not come. */
  #callbacks = 0;
  /** The connection waits for `onWritten`. */
  #pending = false;

  constructor(socket: Socket, events: () => TransportEvents) {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress ?? "";
    this.#onWrite = () => {
      this.#callbacks--;
      // On destroy the callback means "memory free", not "sent": then `onClose` has the last word.
      if (this.#callbacks > 0 || !this.#pending || socket.destroyed) return;
      this.#pending = false;
      // The callback of a write runs in the context of its caller.
      outOfContext(() => events().onWritten());
    };
  }

  write(bytes: Uint8Array): boolean {
    this.#callbacks++;
    this.#socket.write(bytes, this.#onWrite);
    // Nothing buffered directly after the call: the kernel took it all and the memory is free.
    this.#pending = this.#socket.writableLength > 0;
    return !this.#pending;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    // What is buffered is handed out in the context of this call.
    outOfContext(() => this.#socket.resume());
  }

  end(): void {
    outOfContext(() => this.#socket.end());
  }

  destroy(): void {
    outOfContext(() => this.#socket.destroy());
  }
}

/** Hooks up everything but the way in. `events` is asked late: on a server it exists only after accept. */
function attach(socket: Socket, events: () => TransportEvents): void {
  let failure: Error | undefined;
  socket.on("end", () => events().onEnd());
  socket.on("error", (error) => {
    failure = error;
  });
  socket.on("close", () => events().onClose(failure));
}

function dial(address: Address, events: DialEvents): () => void {
  const where =
    address.path === undefined ? { host: address.host, port: address.port } : { path: address.path };
  const options = { ...where, allowHalfOpen: true, noDelay: true };
  const onread = {
    buffer: window,
    callback: (length: number) => {
      events.onWindow(length);
      return true;
    },
  };
  const socket = netConnect(isNode ? { ...options, onread } : options);
  attach(socket, () => events);
  if (!isNode) socket.on("data", (chunk: Uint8Array) => events.onData(chunk));
  socket.pause();
  socket.on("connect", () => events.onOpen(new NodeTransport(socket, () => events)));
  return () => outOfContext(() => socket.destroy());
}

function listen(address: Address, accept: (transport: Transport) => TransportEvents): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
      (socket: Socket) => {
        let events: TransportEvents;
        attach(socket, () => events);
        const transport = new NodeTransport(socket, () => events);
        socket.on("data", (chunk: Uint8Array) => {
          events.onData(chunk);
          release(chunk);
        });
        socket.pause();
        events = accept(transport);
      },
    );
    server.once("error", reject);
    const where =
      address.path === undefined ? { host: address.host, port: address.port } : { path: address.path };
    server.listen({ ...where, backlog: 1_024 }, () => {
      server.removeListener("error", reject);
      server.on("error", () => {}); // a failed accept (no file descriptors): that peer sees its connection close
      const bound = server.address();
      resolve({
        port: bound !== null && typeof bound === "object" ? bound.port : 0,
        close: () => new Promise((closed) => server.close(() => closed())),
      });
    });
  });
}

export const nodeAdapter: Adapter = {
  name: "node",
  dial: (address, events) => outOfContext(() => dial(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
