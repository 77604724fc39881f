// The plain side of a proxy: a socket of node:net, read piece by piece and written with back-pressure. What one side
// of a connection says is kept apart from what the other says: an end is no reset, and half of it may end alone.

import type { Socket } from "node:net";

/** A peer that has gone without a word is found out by the system. */
const KEEP_ALIVE_MS = 60_000;

/** Settles when the socket reads, drains or closes. */
interface Waiter {
  resolve(): void;
}

export class PlainSocket {
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  #ended = false;
  #closed = false;
  #error: Error | undefined;
  #reader: Waiter | undefined;
  #writer: Waiter | undefined;
  /** Resolves when the socket is gone, however it went. */
  readonly gone: Promise<void>;

  /** `socket`: connected or connecting, with `allowHalfOpen`. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // Nothing is read before somebody asks.
    socket.pause();
    socket.on("data", (piece: Uint8Array) => {
      this.#pieces.push(piece);
      socket.pause();
      this.#reader?.resolve();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#reader?.resolve();
    });
    socket.on("drain", () => this.#writer?.resolve());
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    this.gone = new Promise((resolve) => {
      socket.on("close", () => {
        this.#closed = true;
        this.#reader?.resolve();
        this.#writer?.resolve();
        resolve();
      });
    });
  }

  /**
   * The next piece; undefined behind the last one. One reader at a time.
   *
   * @throws what broke the socket, where its end did not come in good order
   */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#pieces.length === 0 && !this.#ended && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#reader = { resolve };
        this.#socket.resume();
      });
      this.#reader = undefined;
    }
    const piece = this.#pieces.shift();
    if (piece !== undefined) return piece;
    if (this.#error !== undefined) throw this.#error;
    if (!this.#ended) throw new Error("the plain connection was cut");
    return undefined;
  }

  /**
   * Resolves when there is room for more. One writer at a time; `piece` belongs to the socket from here on.
   *
   * @throws what broke the socket
   */
  async write(piece: Uint8Array): Promise<void> {
    this.#throwIfGone();
    if (this.#socket.write(piece)) return;
    await new Promise<void>((resolve) => {
      this.#writer = { resolve };
    });
    this.#writer = undefined;
    this.#throwIfGone();
  }

  #throwIfGone(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) throw new Error("the plain connection is closed");
  }

  /** Sends the end behind what was written; reading goes on. */
  end(): void {
    this.#socket.end();
  }

  /**
   * Resolves when both ends were said and everything that was written has left.
   *
   * @throws what broke the socket before
   */
  async closed(): Promise<void> {
    await this.gone;
    if (this.#error !== undefined) throw this.#error;
  }

  /** Cuts it, such that the peer can tell this from an end: what it got is not all. */
  reset(): void {
    // A Unix socket has no reset, and one that does not connect yet needs none.
    if (this.#socket.connecting || this.#socket.remoteAddress === undefined) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}
