// A connection in Deno: one loop of reads, one loop of writes.

import { outOfContext, runSoon } from "../core/eventLoop.ts";
import { timers } from "../rpc/timers.ts";
import type { Transport, TransportEvents } from "../rpc/transport.ts";
import { closeInTurn } from "./closingTurns.ts";
import { ReadBuffer } from "./denoReadBuffer.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);
/** On Linux and macOS, Deno reads again without a poll only if the last read has filled its buffer. */
const SHORT_READ_SHOWS_POLL = globalThis.process?.platform !== "win32";

/** The part of Deno's connections that is used here. */
export interface DenoConn {
  readonly remoteAddr: { readonly hostname?: string };
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  ref(): void;
  unref(): void;
  setNoDelay?(on: boolean): void;
}

export class DenoTransport implements Transport {
  readonly remoteAddress: string;
  /** A server sets it at once when it has accepted the socket. */
  events!: TransportEvents;
  readonly #conn: DenoConn;
  readonly #readBuffer = new ReadBuffer();
  #reading = false;
  #paused = true;
  #hasWritten = false;
  #writing = false;
  /** Of the write in flight. */
  #bytes: Uint8Array = NO_BYTES;
  #unwritten = 0;
  #taken: Promise<number> | undefined;
  #wakeWriter: (() => void) | undefined;
  #ended = false;
  #destroyed = false;
  #socketIsOpen = true;
  #closed = false;
  #failure: unknown;

  constructor(conn: DenoConn, events?: TransportEvents) {
    this.#conn = conn;
    if (events !== undefined) this.events = events;
    this.remoteAddress = conn.remoteAddr.hostname ?? "";
    try {
      conn.setNoDelay?.(true);
    } catch {
      // The peer is gone already, which the first read reports. Accepting goes on.
    }
  }

  /** The loop of writes awaits the result, so that `onWritten` runs in its context, whoever called this. */
  write(bytes: Uint8Array): boolean {
    if (this.#destroyed) return false;
    this.#writing = true;
    this.#unwritten = bytes.length;
    this.#begin(bytes);
    if (this.#hasWritten) this.#wakeWriter?.();
    else {
      // A socket that never gets an answer costs no loop.
      this.#hasWritten = true;
      outOfContext(() => this.#writeLoop());
    }
    return false;
  }

  keepAlive(on: boolean): void {
    if (on) this.#conn.ref();
    else this.#conn.unref();
  }

  unwrittenBytes(): number {
    return this.#unwritten;
  }

  /** Ends with the connection; the collector takes a loop that waits for a write of a connection that is gone. */
  async #writeLoop(): Promise<void> {
    const sleep = (resolve: () => void): void => {
      this.#wakeWriter = resolve;
    };
    try {
      while (!this.#destroyed) {
        if (!this.#writing) await new Promise<void>(sleep);
        const taken = await this.#taken;
        if (taken === 0) throw new Error("a write took nothing");
        this.#unwritten -= taken!;
        if (this.#unwritten > 0 && !this.#destroyed) this.#begin(this.#bytes.subarray(-this.#unwritten));
        else this.#wrote();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = false;
    this.#finish();
  }

  #begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#taken = this.#conn.write(bytes);
  }

  #wrote(): void {
    this.#writing = false;
    this.#bytes = NO_BYTES; // an idle connection holds no memory of its last write
    this.#taken = undefined;
    if (!this.#destroyed) this.events.onWritten();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (!this.#reading && !this.#ended && !this.#destroyed) {
      outOfContext(() => this.#readLoop());
    }
  }

  async #readLoop(): Promise<void> {
    this.#reading = true;
    let polled = false;
    try {
      while (!this.#paused && !this.#destroyed) {
        const buffer = this.#readBuffer.bytes;
        const length = await this.#conn.read(buffer);
        if (this.#destroyed) break;
        if (length === null) {
          this.#ended = true;
          this.events.onEnd();
          break;
        }
        if (length === 0) throw new Error("a read gave nothing");
        this.events.onData(buffer.subarray(0, length), polled);
        polled = SHORT_READ_SHOWS_POLL && length < buffer.length;
        this.#readBuffer.filled(length);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#reading = false;
    this.#readBuffer.giveBack();
    if (this.#destroyed) this.#finish();
  }

  end(): void {
    outOfContext(() => this.#conn.closeWrite().catch((error) => this.#fail(error)));
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    // A close fails if the connection was closed already, which is the wanted state.
    closeInTurn(
      () => this.#closeSocket(),
      () => {},
    );
  }

  #closeSocket(): void {
    try {
      this.#conn.close();
    } finally {
      this.#socketIsOpen = false;
      runSoon(() => this.#finish());
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.destroy();
  }

  /** Reports the end, once no operation of the runtime uses a buffer any more. */
  #finish(): void {
    if (this.#closed || this.#socketIsOpen || this.#reading || this.#writing) return;
    this.#closed = true;
    this.#readBuffer.end();
    this.events.onClose(this.#failure);
    timers.rest();
  }
}
