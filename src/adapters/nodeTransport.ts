// Implements `Transport` over one socket of node:net, and reports the socket's events.

import type { Socket } from "node:net";
import { outOfContext } from "../core/eventLoop.ts";
import { timers } from "../rpc/timers.ts";
import type { Transport, TransportEvents } from "../rpc/transport.ts";

/** Not imported: an import of node:process reads all its members, and opens what standard input and output are. */
const { nextTick } = globalThis.process;

/**
 * `onread` is an option of Node. The emulations of other runtimes may ignore it, and then no bytes would ever
 * arrive.
 */
export const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

export class NodeTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #events: () => TransportEvents;
  /** The number of `socket.write` calls whose callback has not come. */
  #callbacks = 0;
  /** The connection waits for `onWritten`. */
  #pending = false;
  #paused = false;
  /**
   * A socket with `onread` that was resumed begins to read in the next tick, even if it was paused in
   * between. So this pauses it once more in that tick.
   */
  readonly #pauseAgain = (): void => {
    if (this.#paused) this.#socket.pause();
  };

  readonly #onWrite = (): void => {
    this.#callbacks--;
    // After destroy the callback means "memory free", not "sent": `onClose` reports the end.
    if (this.#callbacks > 0 || !this.#pending || this.#socket.destroyed) return;
    this.#pending = false;
    // The callback of a write runs in the context of its caller.
    outOfContext(() => this.#events().onWritten());
  };

  constructor(socket: Socket, events: () => TransportEvents) {
    this.#socket = socket;
    this.#events = events;
    this.remoteAddress = socket.remoteAddress ?? "";
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    // A destroyed socket neither buffers nor takes bytes. False keeps the caller from sealing more until
    // `onClose` comes.
    if (socket.destroyed) return false;
    this.#callbacks++;
    socket.write(bytes, this.#onWrite);
    // Nothing is buffered directly after the call: the kernel took all bytes, and the memory is free.
    this.#pending = socket.writableLength > 0 || socket.destroyed;
    return !this.#pending;
  }

  unwrittenBytes(): number {
    if (!this.#pending) return 0;
    const handle = (this.#socket as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? this.#socket.writableLength;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.destroyed) return; // it may wait for its close
    this.#paused = false;
    // Buffered bytes are delivered in the context of this call.
    outOfContext(() => {
      this.#socket.resume();
      if (isNode) nextTick(this.#pauseAgain);
    });
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

/**
 * Connects all events except incoming bytes. `events` is a function because a server's events exist only
 * after accept.
 */
export function attach(socket: Socket, events: () => TransportEvents): void {
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
