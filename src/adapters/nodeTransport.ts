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

/** Names the transport of a socket. */
const TRANSPORT: unique symbol = Symbol("transport");

interface OwnedSocket extends Socket {
  [TRANSPORT]: NodeTransport;
}

export class NodeTransport implements Transport {
  readonly remoteAddress: string;
  /** A server sets it at once when it has accepted the socket. */
  events!: TransportEvents;
  readonly #socket: Socket;
  /** Reported with the socket's end. */
  failure: Error | undefined;
  /** The number of `socket.write` calls whose callback has not come. */
  #callbacks = 0;
  /** The connection waits for `onWritten`. */
  #pending = false;
  #paused = false;
  /** Made by the first write: a socket that never gets an answer costs no function. */
  #onWrite: (() => void) | undefined;

  /**
   * Connects all events of the socket except incoming bytes. Its listeners are no functions of their own, because a server
   * may have thousands of silent sockets.
   */
  constructor(socket: Socket, events?: TransportEvents) {
    this.#socket = socket;
    if (events !== undefined) this.events = events;
    (socket as OwnedSocket)[TRANSPORT] = this;
    this.remoteAddress = socket.remoteAddress ?? "";
    socket.on("end", onEnd);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  /** The transport that `socket` belongs to. */
  static of(socket: Socket): NodeTransport {
    return (socket as OwnedSocket)[TRANSPORT];
  }

  /**
   * A socket with `onread` that was resumed begins to read in the next tick, even if it was paused in between. So this
   * pauses it once more in that tick.
   */
  static #pauseAgain(transport: NodeTransport): void {
    if (transport.#paused) transport.#socket.pause();
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    // A destroyed socket neither buffers nor takes bytes. False keeps the caller from sealing more until
    // `onClose` comes.
    if (socket.destroyed) return false;
    this.#callbacks++;
    this.#onWrite ??= this.#whenTaken();
    socket.write(bytes, this.#onWrite);
    // Nothing is buffered directly after the call: the kernel took all bytes, and the memory is free.
    this.#pending = socket.writableLength > 0 || socket.destroyed;
    return !this.#pending;
  }

  #whenTaken(): () => void {
    return () => {
      this.#callbacks--;
      // After destroy the callback means "memory free", not "sent": `onClose` reports the end.
      if (this.#callbacks > 0 || !this.#pending || this.#socket.destroyed) return;
      this.#pending = false;
      // The callback of a write runs in the context of its caller.
      outOfContext(() => this.events.onWritten());
    };
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
      if (isNode) nextTick(NodeTransport.#pauseAgain, this);
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

function onEnd(this: Socket): void {
  NodeTransport.of(this).events.onEnd();
}

function onError(this: Socket, error: Error): void {
  NodeTransport.of(this).failure = error;
}

function onClose(this: Socket): void {
  const { events, failure } = NodeTransport.of(this);
  events.onClose(failure);
  timers.rest();
}
