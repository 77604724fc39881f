// The plain side of a proxy: a socket of node:net, read piece by piece and written with back-pressure. The two
// directions are independent: an end differs from a reset, and one direction may end alone.

import type { Socket } from "node:net";

/** The system finds out a peer that disappeared without an end. */
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
  /** Resolves when the socket is gone, for whatever reason. */
  readonly gone: Promise<void>;

  /** `socket`: connected or connecting, with `allowHalfOpen`. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // Nothing is read before the first `read`.
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
   * The next piece; undefined after the last one. One reader at a time.
   *
   * @throws the error that broke the socket, if it did not end in good order
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
   * Resolves when there is room for more. One writer at a time; the socket owns `piece` from now on.
   *
   * @throws the error that broke the socket
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

  /** Sends the end after all written bytes; reading goes on. */
  end(): void {
    this.#socket.end();
  }

  /**
   * Resolves when both ends were sent and everything that was written has left.
   *
   * @throws the error that broke the socket before
   */
  async closed(): Promise<void> {
    await this.gone;
    if (this.#error !== undefined) throw this.#error;
  }

  /** Cuts the connection so that the peer sees a reset, not an end: it did not get everything. */
  reset(): void {
    // A Unix socket has no reset, and an unconnected socket needs none.
    if (this.#socket.connecting || this.#socket.remoteAddress === undefined) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}
