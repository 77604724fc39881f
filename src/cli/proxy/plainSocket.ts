// The plain side of a proxy: a socket of node:net, read piece by piece and written with back-pressure. The two
// directions are independent: an end differs from a reset, and one direction may end alone. An end is sent only behind
// all bytes, and a reset at once, so no peer takes a part for the whole.

import type { Socket } from "node:net";

/** The system finds out a peer that disappeared without an end. */
const KEEP_ALIVE_MS = 60_000;

const NOTHING = new Uint8Array(0);
/** A dial that nobody wants any more has this time to connect and be reset. */
const ABANDONED_MS = 1_000;

/** Settles when the socket reads, drains, fails or closes. */
interface Waiter {
  resolve(): void;
}

export class PlainSocket {
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  /** The socket reported the peer's end, which may be a reset. */
  #endSeen = false;
  #ended = false;
  /** Pieces that the kernel has not taken. */
  #unwritten = 0;
  /** The end follows the last of them. */
  #ending = false;
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
    socket.on("end", () => this.#checkEnd());
    socket.on("drain", () => this.#writer?.resolve());
    socket.on("error", (error) => {
      this.#error ??= error;
      this.#settle();
    });
    this.gone = new Promise((resolve) => {
      socket.on("close", () => {
        this.#closed = true;
        this.#ended = this.#endSeen;
        this.#settle();
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
    if (this.#pieces.length === 0 && !this.#ended && !this.#isOver) {
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
    this.#unwritten++;
    if (this.#socket.write(piece, this.#onWritten)) return;
    await new Promise<void>((resolve) => {
      this.#writer = { resolve };
    });
    this.#writer = undefined;
    this.#throwIfGone();
  }

  readonly #destroyNow = (): void => void this.#socket.destroy();

  readonly #onWritten = (): void => {
    this.#unwritten--;
    if (this.#ending && this.#unwritten === 0) this.#socket.end();
  };

  get #isOver(): boolean {
    return this.#closed || this.#error !== undefined;
  }

  /**
   * Node 20 reports an end for a reset that arrived while nothing was read. Sending nothing fails behind a reset; so do
   * pieces that wait. A Unix socket, which has no local address, has no reset either, and sending nothing fails there if
   * its peer has closed it in good order.
   */
  #checkEnd(): void {
    const socket = this.#socket;
    const mayBeReset = socket.localAddress !== undefined && !socket.writableEnded && !socket.destroyed;
    if (mayBeReset && this.#unwritten === 0) socket.write(NOTHING);
    this.#endSeen = true;
    setImmediate(() => {
      this.#ended = true;
      // A writer waits on: the peer's end gives no room.
      this.#reader?.resolve();
    });
  }

  #settle(): void {
    this.#reader?.resolve();
    this.#writer?.resolve();
  }

  #throwIfGone(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) throw new Error("the plain connection is closed");
  }

  /** Sends the end after all written bytes; reading goes on. */
  end(): void {
    this.#ending = true;
    if (this.#unwritten === 0) this.#socket.end();
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

  /**
   * Cuts the connection now, so that the peer sees a reset, not an end: it did not get everything. An end that was sent
   * stays one, because everything was before it.
   */
  reset(): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    // Bun reports an end of the peer for it.
    this.#error ??= new Error("the plain connection was cut");
    if (socket.connecting) return this.#resetOnceConnected();
    // A Unix socket has no reset. Neither has a socket of Node whose end is just being sent: it would never close.
    const isEnding = socket.writableEnded && !socket.writableFinished;
    if (isEnding || socket.remoteAddress === undefined) return void socket.destroy();
    // Node would send all that was written first, and wait for a peer that reads nothing.
    socket.destroySoon = this.#destroyNow;
    socket.resetAndDestroy();
  }

  /** The kernel may have connected it without a word yet. Then closing it would be an end. */
  #resetOnceConnected(): void {
    const socket = this.#socket;
    socket.once("connect", () => this.reset());
    const limit = setTimeout(() => void socket.destroy(), ABANDONED_MS).unref();
    // Most dials end long before, and the timer would hold what is left of each.
    void this.gone.then(() => clearTimeout(limit));
  }
}
