// Drives one Transport directly, without any protocol: it records the events of a socket and waits for them.

import { memory, RECEIVE_BUFFER } from "../../src/core/wasmModule.ts";
import type { DialEvents, Transport, TransportEvents } from "../../src/rpc/transport.ts";
import { expireAfter } from "./patience.ts";

const WAIT_MS = 20_000;

/** The n-th byte of the test stream of this seed; every place of a stream is told apart from its neighbours. */
export function streamByte(seed: number, index: number): number {
  return (seed + index + (index >>> 8) * 31 + (index >>> 16) * 7) & 0xff;
}

/** `length` bytes of the test stream from `start`. */
export function streamBytes(seed: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = streamByte(seed, start + i);
  return bytes;
}

/** Both kinds of TransportEvents (dialled and accepted) for one socket. */
export class SocketProbe implements DialEvents {
  transport: Transport | undefined;
  receivedBytes = 0;
  /** First position at which the received stream differs from `expectStream`'s, or -1. */
  firstWrongByte = -1;
  written = 0;
  opens = 0;
  ends = 0;
  closes = 0;
  closeError: unknown;
  /** Events after onClose, or onClose from inside a Transport method. */
  readonly violations: string[] = [];
  /** Called with every piece that arrives; the bytes are valid during the call. */
  onBytes: ((bytes: Uint8Array) => void) | undefined;

  /** Called with the name of every event. */
  onEvent: ((event: string) => void) | undefined;

  #expectedSeed: number | undefined;
  #inMethod = false;
  #waiters: { ready: () => boolean; wake: () => void }[] = [];

  /** Checks everything that arrives against the test stream of this seed. */
  expectStream(seed: number): void {
    this.#expectedSeed = seed;
  }

  onConnected(transport: Transport): void {
    this.#note("onConnected");
    this.opens++;
    this.transport = transport;
    this.#wake();
  }

  onReceiveBuffer(length: number): void {
    this.#take(memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + length));
  }

  onData(bytes: Uint8Array): void {
    this.#take(bytes);
  }

  onWritten(): void {
    this.#note("onWritten");
    this.written++;
    this.#wake();
  }

  onEnd(): void {
    this.#note("onEnd");
    this.ends++;
    this.#wake();
  }

  onClose(error?: unknown): void {
    this.#note("onClose");
    this.closes++;
    this.closeError = error;
    this.#wake();
  }

  /** Writes all of `bytes` and waits until the memory is free; false when the socket closed instead. */
  async write(bytes: Uint8Array): Promise<boolean> {
    if (this.closes > 0) return false;
    const before = this.written;
    if (this.call((transport) => transport.write(bytes))) return true;
    await this.until(() => this.written > before || this.closes > 0, "a write to complete");
    return this.written > before;
  }

  /** Calls a method of the transport; an event during the call is a violation. */
  call<T>(method: (transport: Transport) => T): T {
    if (this.transport === undefined) throw new Error("the socket is not open");
    this.#inMethod = true;
    try {
      return method(this.transport);
    } finally {
      this.#inMethod = false;
    }
  }

  /** Waits until `ready` holds, checked at every event of this socket. */
  async until(ready: () => boolean, what: string): Promise<void> {
    if (ready()) return;
    let endWait!: () => void;
    await new Promise<void>((resolve, reject) => {
      const waiter = { ready, wake: resolve };
      this.#waiters.push(waiter);
      endWait = expireAfter(WAIT_MS, () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        const state = `received ${this.receivedBytes}, ends ${this.ends}, closes ${this.closes}, written ${this.written}`;
        reject(new Error(`waited ${WAIT_MS} ms for ${what} (${state})`));
      });
    });
    endWait();
  }

  async closed(): Promise<void> {
    await this.until(() => this.closes > 0, "onClose");
  }

  #take(bytes: Uint8Array): void {
    this.#note("data");
    if (bytes.length === 0) this.violations.push("an empty read");
    if (this.#expectedSeed !== undefined && this.firstWrongByte < 0) {
      for (let i = 0; i < bytes.length; i++) {
        if (bytes[i] !== streamByte(this.#expectedSeed, this.receivedBytes + i)) {
          this.firstWrongByte = this.receivedBytes + i;
          break;
        }
      }
    }
    this.receivedBytes += bytes.length;
    this.onBytes?.(bytes);
    this.#wake();
  }

  #note(event: string): void {
    this.onEvent?.(event);
    if (this.closes > 0) this.violations.push(`${event} after onClose`);
    if (this.#inMethod) this.violations.push(`${event} from inside a Transport method`);
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) {
      if (!waiter.ready()) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.wake();
    }
  }
}

/** Adapters take TransportEvents from `accept`; the probe gets its transport there. */
export function acceptInto(probe: SocketProbe, transport: Transport): TransportEvents {
  probe.transport = transport;
  return probe;
}
