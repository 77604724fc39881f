// Deno's own sockets: a reading loop per connection, one write in flight.

import { outOfContext, runAtEndOfTurn, runSoon, startTimer, yieldToEventLoop } from "../core/eventLoop.ts";
import { CallbackDeadline, timers } from "../rpc/timers.ts";
import type { Adapter, Address, DialEvents, Listener, Transport, TransportEvents } from "../rpc/transport.ts";
import { ACCEPT_PAUSE_MS } from "./descriptors.ts";
import { checkPath, dialFailed, listenFailed } from "./failures.ts";

/** The part of Deno's socket API that is used here. */
interface DenoConn {
  readonly remoteAddr: { readonly hostname?: string };
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  ref(): void;
  unref(): void;
  setNoDelay?(on: boolean): void;
}
type DenoWhere =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };
interface DenoListen {
  readonly addr: { readonly port?: number };
  accept(): Promise<DenoConn>;
  ref(): void;
  unref(): void;
  close(): void;
}
interface DenoApi {
  /** With TCP it can be given up; a Unix socket is connected at once or fails. */
  connect(where: DenoWhere & { readonly signal?: AbortSignal }): Promise<DenoConn>;
  listen(where: DenoWhere): DenoListen;
}

declare const Deno: DenoApi;

/**
 * Every waiting read holds a buffer, so a quiet connection holds a small one. A read that fills it shows that more
 * is to come: the next ones take a large buffer from a shared stock and give it back when they come up short. When
 * the stock is out, a connection gets a medium one of its own, once.
 */
const SMALL_READ_BYTES = 2_048;
const MEDIUM_READ_BYTES = 16_384;
const LARGE_READ_BYTES = 65_536;
const LARGE_READ_STOCK = 64;
const largeBuffers: Uint8Array[] = [];
let largeBuffersMade = 0;

/** A large buffer, or undefined when all are held. */
function takeLargeBuffer(): Uint8Array | undefined {
  const buffer = largeBuffers.pop();
  if (buffer !== undefined || largeBuffersAreOut()) return buffer;
  largeBuffersMade++;
  return new Uint8Array(LARGE_READ_BYTES);
}

/** All are held: who can do without gives its back. */
function largeBuffersAreOut(): boolean {
  return largeBuffers.length === 0 && largeBuffersMade === LARGE_READ_STOCK;
}

class DenoTransport implements Transport {
  readonly remoteAddress: string;
  readonly #conn: DenoConn;
  readonly #events: () => TransportEvents;
  readonly #small = new Uint8Array(SMALL_READ_BYTES);
  #medium: Uint8Array | undefined;
  #large: Uint8Array | undefined;
  /** One of the three: what the next read goes to. */
  #buffer: Uint8Array = this.#small;
  #reading = false;
  #paused = true;
  #writing = false;
  #unwritten = 0;
  #ended = false;
  #destroyed = false;
  #closed = false;
  #failure: unknown;

  constructor(conn: DenoConn, events: () => TransportEvents) {
    this.#conn = conn;
    this.#events = events;
    this.remoteAddress = conn.remoteAddr.hostname ?? "";
    conn.setNoDelay?.(true);
  }

  write(bytes: Uint8Array): boolean {
    this.#writing = true;
    outOfContext(() => this.#writeAll(bytes));
    return false;
  }

  keepAlive(on: boolean): void {
    if (on) this.#conn.ref();
    else this.#conn.unref();
  }

  unwrittenBytes(): number {
    return this.#unwritten;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      this.#unwritten = bytes.length;
      while (this.#unwritten > 0) {
        const rest = this.#unwritten === bytes.length ? bytes : bytes.subarray(-this.#unwritten);
        const taken = await this.#conn.write(rest);
        if (taken === 0) throw new Error("a write took nothing");
        this.#unwritten -= taken;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#unwritten = 0;
    this.#writing = false;
    if (this.#destroyed) this.#finish();
    else this.#events().onWritten();
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
    try {
      while (!this.#paused && !this.#destroyed) {
        const buffer = this.#buffer;
        const length = await this.#conn.read(buffer);
        if (this.#destroyed) break;
        if (length === null) {
          this.#ended = true;
          this.#events().onEnd();
          break;
        }
        if (length === 0) throw new Error("a read gave nothing");
        this.#events().onData(buffer.subarray(0, length));
        this.#chooseBuffer(length);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#reading = false;
    this.#returnLarge();
    if (this.#destroyed) this.#finish();
  }

  #chooseBuffer(length: number): void {
    const wanted = this.#large !== undefined && length < LARGE_READ_BYTES && largeBuffersAreOut();
    if (length < SMALL_READ_BYTES || wanted) {
      this.#returnLarge();
    } else if (this.#large === undefined && length === this.#buffer.length) {
      this.#large = takeLargeBuffer();
      if (this.#large === undefined) this.#medium ??= new Uint8Array(MEDIUM_READ_BYTES);
      this.#buffer = this.#large ?? (this.#medium as Uint8Array);
    }
  }

  #returnLarge(): void {
    if (this.#large !== undefined) largeBuffers.push(this.#large);
    this.#large = undefined;
    this.#buffer = this.#small;
  }

  end(): void {
    outOfContext(() => this.#conn.closeWrite().catch((error) => this.#fail(error)));
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    try {
      this.#conn.close();
    } catch {
      // It was closed already: what counts is that it is.
    }
    runSoon(() => this.#finish());
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.destroy();
  }

  /** The end, once no operation of the runtime holds a buffer any more. */
  #finish(): void {
    if (this.#closed || this.#reading || this.#writing) return;
    this.#closed = true;
    this.#events().onClose(this.#failure);
    timers.rest();
  }
}

function where(address: Address): DenoWhere {
  checkPath(address);
  return address.path === undefined
    ? { transport: "tcp", hostname: address.host, port: address.port }
    : { transport: "unix", path: address.path };
}

function dial(address: Address, events: DialEvents): () => void {
  const abort = new AbortController();
  let settled = false;
  let givenUp = false;
  const fail = (error: unknown): void => {
    if (settled) return;
    settled = true;
    events.onClose(dialFailed(address, error));
    timers.rest();
  };
  const opened = (conn: DenoConn): void => {
    if (settled || givenUp) {
      conn.close();
      return;
    }
    settled = true;
    events.onOpen(new DenoTransport(conn, () => events));
  };
  const connectTo = async (): Promise<DenoConn> => Deno.connect({ ...where(address), signal: abort.signal });
  connectTo().then(opened, fail);
  return () => {
    if (settled || givenUp) return;
    givenUp = true;
    // Not now: a signal that fires between a connect and the news of it would leave the socket to nobody.
    startTimer(() => {
      abort.abort();
      fail(new Error("dialling was given up"));
    }, 0);
  };
}

/** No descriptor, no memory: the same would happen again at once. */
const exhausted = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
/** So many failures in a row of another kind are no bad luck with peers that were gone before they were accepted. */
const MAX_FAILURES_IN_A_ROW = 64;

class DenoListener implements Listener {
  readonly #listener: DenoListen;
  readonly #accept: (transport: Transport) => TransportEvents;
  readonly #accepting: Promise<void>;
  readonly #pause = new CallbackDeadline(() => this.#endPause?.());
  #endPause: (() => void) | undefined;
  #open = true;
  acceptFailures = 0;

  constructor(listener: DenoListen, accept: (transport: Transport) => TransportEvents) {
    this.#listener = listener;
    this.#accept = accept;
    this.#accepting = this.#acceptAll();
  }

  get port(): number {
    return this.#listener.addr.port ?? 0;
  }

  async #acceptAll(): Promise<void> {
    let failedInARow = 0;
    while (this.#open) {
      let conn: DenoConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (!this.#open) return;
        const { code } = error as { code?: string };
        if (++failedInARow > MAX_FAILURES_IN_A_ROW || (code !== undefined && exhausted.has(code))) {
          await this.#failed();
        }
        continue;
      }
      failedInARow = 0;
      let events: TransportEvents;
      const transport = new DenoTransport(conn, () => events);
      events = this.#accept(transport);
    }
  }

  /** Without a pause the loop would spin; those who wait do so in the kernel's backlog. */
  async #failed(): Promise<void> {
    this.acceptFailures++;
    await new Promise<void>((resolve) => {
      this.#endPause = resolve;
      timers.arm(this.#pause, ACCEPT_PAUSE_MS);
    });
  }

  keepAlive(on: boolean): void {
    if (on) this.#listener.ref();
    else this.#listener.unref();
  }

  async close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#listener.close();
      timers.cancel(this.#pause);
      this.#endPause?.();
    }
    await this.#accepting;
    timers.rest();
  }
}

async function listen(
  address: Address,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  try {
    return new DenoListener(Deno.listen(where(address)), accept);
  } catch (error) {
    throw listenFailed(address, error);
  }
}

export const denoAdapter: Adapter = {
  name: "deno",
  dial: (address, events) => outOfContext(() => dial(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
