// Sockets of node:net. Right on Node, and also where Bun and Deno emulate it: a bundler may have chosen it.

import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { outOfContext, runAtEndOfTurn, runSoon, yieldToEventLoop } from "../core/eventLoop.ts";
import { release } from "../core/release.ts";
import { memory, RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "../core/wasmModule.ts";
import { timers } from "../rpc/timers.ts";
import type { Adapter, Address, DialEvents, Listener, Transport, TransportEvents } from "../rpc/transport.ts";
import { denoAdapter } from "./denoSockets.ts";
import { DescriptorGuard } from "./descriptors.ts";
import { checkPath, dialFailed, listenFailed } from "./failures.ts";

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

  unwrittenBytes(): number {
    if (!this.#pending) return 0;
    const handle = (this.#socket as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    // What is buffered is handed out in the context of this call.
    outOfContext(() => this.#socket.resume());
  }

  keepAlive(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
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
  socket.on("close", () => {
    events().onClose(failure);
    timers.rest();
  });
}

function where(address: Address): { path: string } | { host: string; port: number } {
  checkPath(address);
  return address.path === undefined ? { host: address.host, port: address.port } : { path: address.path };
}

/** While a read is handed out, the window belongs to its connection. */
let windowTaken = false;

/**
 * Hands out what was read into the window. Nothing that this calls may read into it again.
 *
 * @internal exported for its test
 */
export function handOutWindow(events: TransportEvents, length: number): void {
  if (windowTaken) throw new Error("the receive window has two owners");
  windowTaken = true;
  try {
    events.onWindow(length);
  } finally {
    windowTaken = false;
  }
}

/**
 * Dials. `adopt` may make a transport of its own of what is behind the connected stream, which then tells nothing
 * more.
 */
export function dialByNode(
  address: Address,
  events: DialEvents,
  adopt?: (socket: Socket) => Transport | undefined,
): () => void {
  let socket: Socket;
  try {
    const options = { ...where(address), allowHalfOpen: true, noDelay: true };
    const onread = {
      buffer: window,
      callback: (length: number) => {
        try {
          handOutWindow(events, length);
        } catch (error) {
          // A fault of this library costs the connection, not the process.
          socket.destroy(error as Error);
        }
        return true;
      },
    };
    socket = netConnect(isNode ? { ...options, onread } : options);
  } catch (error) {
    runSoon(() => events.onClose(dialFailed(address, error)));
    return () => {};
  }
  socket.pause();
  let opened = false;
  let failure: Error | undefined;
  const failed = (): void => {
    events.onClose(dialFailed(address, failure ?? new Error("dialling was given up")));
    timers.rest();
  };
  const noteFailure = (error: Error): void => {
    failure = error;
  };
  socket.on("error", noteFailure);
  socket.on("close", failed);
  socket.on("connect", () => {
    opened = true;
    socket.removeListener("error", noteFailure);
    socket.removeListener("close", failed);
    let transport = adopt?.(socket);
    if (transport === undefined) {
      attach(socket, () => events);
      if (!isNode) socket.on("data", (chunk: Uint8Array) => events.onData(chunk));
      socket.pause();
      transport = new NodeTransport(socket, () => events);
    }
    events.onOpen(transport);
  });
  return () => {
    if (!opened) outOfContext(() => socket.destroy());
  };
}

class NodeListener implements Listener {
  readonly #server: Server;
  /** Node tells when it can't accept, and does so only when its own reserve is lost; Bun does not. */
  readonly #guard = new DescriptorGuard(isNode ? "told" : "untold");

  port = 0;

  constructor(accept: (transport: Transport) => TransportEvents) {
    const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    this.#server = createServer(options, (socket: Socket) => {
      if (!this.#guard.admits()) {
        socket.destroy();
        return;
      }
      let events: TransportEvents;
      attach(socket, () => events);
      const transport = new NodeTransport(socket, () => events);
      socket.on("data", (chunk: Uint8Array) => {
        events.onData(chunk);
        release(chunk);
      });
      socket.pause();
      events = accept(transport);
    });
  }

  start(address: Address): Promise<this> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        this.#guard.close();
        reject(listenFailed(address, error));
      };
      try {
        this.#server.once("error", failed);
        this.#server.listen({ ...where(address), backlog: 1_024 }, () => {
          this.#server.removeListener("error", failed);
          this.#server.on("error", () => this.#guard.failed());
          const bound = this.#server.address();
          if (bound !== null && typeof bound === "object") this.port = bound.port;
          resolve(this);
        });
      } catch (error) {
        failed(error);
      }
    });
  }

  get acceptFailures(): number {
    return this.#guard.failures;
  }

  keepAlive(on: boolean): void {
    if (on) this.#server.ref();
    else this.#server.unref();
  }

  close(): Promise<void> {
    this.#guard.close();
    return new Promise((closed) => this.#server.close(() => closed()));
  }
}

function listen(address: Address, accept: (transport: Transport) => TransportEvents): Promise<Listener> {
  // A listener of Deno's node:net that ran out of descriptors once never accepts again, and tells nobody.
  if (process.versions.deno !== undefined) return denoAdapter.listen(address, accept);
  return new NodeListener(accept).start(address);
}

export const nodeAdapter: Adapter = {
  name: "node",
  dial: (address, events) => outOfContext(() => dialByNode(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
