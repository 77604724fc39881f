// The adapter for Deno.listen and Deno.connect: one reading loop per connection, and one write in flight.

import { loadPart } from "../base/loadPart.ts";
import { outOfContext, runAtEndOfTurn, runSoon, startTimer, yieldToEventLoop } from "../core/eventLoop.ts";
import { CallbackDeadline, timers } from "../rpc/timers.ts";
import type {
  Adapter,
  Address,
  DialEvents,
  ListenAddress,
  Listener,
  Transport,
  TransportEvents,
} from "../rpc/transport.ts";
import { AcceptFailures } from "./acceptFailures.ts";
import { ReadBuffer } from "./denoReadBuffer.ts";
import { ACCEPT_PAUSE_MS } from "./descriptors.ts";
import { checkPath, dialFailed, listenFailed } from "./failures.ts";
import { names } from "./resolveName.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);

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
  /** The signal cancels a TCP dial. A Unix socket connects or fails at once. */
  connect(where: DenoWhere & { readonly signal?: AbortSignal }): Promise<DenoConn>;
  listen(where: DenoWhere): DenoListen;
}

declare const Deno: DenoApi;

class DenoTransport implements Transport {
  readonly remoteAddress: string;
  readonly #conn: DenoConn;
  readonly #events: () => TransportEvents;
  readonly #readBuffer = new ReadBuffer();
  #reading = false;
  #paused = true;
  #writing = false;
  /** Of the write in flight. */
  #bytes: Uint8Array = NO_BYTES;
  #unwritten = 0;
  #taken: Promise<number> | undefined;
  #wakeWriter = (): void => {};
  readonly #sleep = (resolve: () => void): void => {
    this.#wakeWriter = resolve;
  };
  #ended = false;
  #destroyed = false;
  #closed = false;
  #failure: unknown;

  constructor(conn: DenoConn, events: () => TransportEvents) {
    this.#conn = conn;
    this.#events = events;
    this.remoteAddress = conn.remoteAddr.hostname ?? "";
    conn.setNoDelay?.(true);
    this.#writeLoop();
  }

  /** The loop of writes awaits the result, so that `onWritten` runs in its context, whoever called this. */
  write(bytes: Uint8Array): boolean {
    this.#writing = true;
    this.#unwritten = bytes.length;
    this.#begin(bytes);
    this.#wakeWriter();
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
    try {
      while (!this.#destroyed) {
        if (!this.#writing) await new Promise<void>(this.#sleep);
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
    if (!this.#destroyed) this.#events().onWritten();
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
        const buffer = this.#readBuffer.bytes;
        const length = await this.#conn.read(buffer);
        if (this.#destroyed) break;
        if (length === null) {
          this.#ended = true;
          this.#events().onEnd();
          break;
        }
        if (length === 0) throw new Error("a read gave nothing");
        this.#events().onData(buffer.subarray(0, length));
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
    try {
      this.#conn.close();
    } catch {
      // The connection was closed already, which is the wanted state.
    }
    runSoon(() => this.#finish());
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.destroy();
  }

  /** Reports the end, once no operation of the runtime uses a buffer any more. */
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
  const connected = (conn: DenoConn): void => {
    if (settled || givenUp) {
      conn.close();
      return;
    }
    settled = true;
    events.onConnected(new DenoTransport(conn, () => events));
  };
  const connectTo = async (): Promise<DenoConn> => Deno.connect({ ...where(address), signal: abort.signal });
  connectTo().then(connected, fail);
  return () => {
    if (settled || givenUp) return;
    givenUp = true;
    // Deferred: a signal that fires after the connect, but before its promise resolves, would leave the
    // socket without an owner.
    startTimer(() => {
      abort.abort();
      fail(new Error("dialling was given up"));
    }, 0);
  };
}

class DenoListener implements Listener {
  readonly #listener: DenoListen;
  readonly #accept: (transport: Transport) => TransportEvents;
  readonly #accepting: Promise<void>;
  readonly #pause = new CallbackDeadline(() => this.#endPause?.());
  #endPause: (() => void) | undefined;
  #listening = true;
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
    const failures = new AcceptFailures();
    while (this.#listening) {
      let conn: DenoConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (!this.#listening) return;
        if (failures.askForPause(error)) await this.#failed();
        continue;
      }
      failures.accepted();
      let events: TransportEvents;
      const transport = new DenoTransport(conn, () => events);
      events = this.#accept(transport);
    }
  }

  /** Without a pause the loop would spin. Waiting clients stay in the kernel's backlog. */
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
    if (this.#listening) {
      this.#listening = false;
      this.#listener.close();
      timers.cancel(this.#pause);
      this.#endPause?.();
    }
    await this.#accepting;
    timers.rest();
  }
}

async function listen(
  address: ListenAddress,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  // Deno.listen takes no inherited sockets, and shares ports only with an unstable flag.
  if (address.fd !== undefined || address.reusePort) {
    const { listenByNode } = await loadPart("listening", () => import("./nodeListener.ts"));
    return listenByNode(address, accept);
  }
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
  ...names,
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
