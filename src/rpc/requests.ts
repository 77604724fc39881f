// Requests that wait for their answers, in a table with a power of two rows, indexed by the sequence number. All
// numbers of a side have one parity. They wrap around at 2^32, and skip 0 and those in flight.

import { SealwireError } from "../base/errors.ts";
import { type AbortWatcher, unwatchSignal, watchSignal } from "./abortWatchers.ts";
import { Deadline, timers } from "./timers.ts";

const FIRST_CAPACITY = 64;

type Resolve = (body: Uint8Array) => void;
type Reject = (error: SealwireError) => void;

/** What the last promise gave its executor: one executor for all spares a closure per request. */
let lastResolve!: Resolve;
let lastReject!: Reject;
const keepSettlers = (resolve: Resolve, reject: Reject): void => {
  lastResolve = resolve;
  lastReject = reject;
};

/** One request in flight, its own deadline and abort listener. Settles exactly once. */
export class PendingRequest extends Deadline implements AbortWatcher {
  sequence = 0;
  readonly #table: RequestTable;
  readonly answer: Promise<Uint8Array> = new Promise(keepSettlers);
  readonly #resolve = lastResolve;
  readonly #reject = lastReject;
  readonly into: Uint8Array | undefined;
  readonly timeoutMs: number;
  #signal: AbortSignal | undefined;

  constructor(table: RequestTable, into: Uint8Array | undefined, timeoutMs: number) {
    super();
    this.#table = table;
    this.into = into;
    this.timeoutMs = timeoutMs;
  }

  /** AbortWatcher: the caller's signal. */
  aborted({ reason }: AbortSignal): void {
    this.#table.abandon(this, new SealwireError("ERR_ABORTED", "the request was aborted", { cause: reason }));
  }

  watch(signal: AbortSignal): void {
    this.#signal = signal;
    watchSignal(signal, this);
  }

  override expire(): void {
    const text = `no answer within ${this.timeoutMs} ms`;
    this.#table.abandon(this, new SealwireError("ERR_REQUEST_TIMEOUT", text));
  }

  resolve(body: Uint8Array): void {
    this.#settled();
    this.#resolve(body);
  }

  reject(error: SealwireError): void {
    this.#settled();
    this.#reject(error);
  }

  #settled(): void {
    timers.cancel(this);
    if (this.#signal !== undefined) {
      unwatchSignal(this.#signal, this);
      this.#signal = undefined;
    }
  }
}

export class RequestTable {
  readonly #limit: number;
  readonly #firstSequence: number;
  readonly #onAbandon: (sequence: number) => void;
  #rows: (PendingRequest | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #nextSequence: number;
  #size = 0;

  /** `firstSequence` is 1 for clients and 2 for servers. `onAbandon`: a request timed out or was aborted. */
  constructor(firstSequence: 1 | 2, limit: number, onAbandon: (sequence: number) => void) {
    this.#firstSequence = firstSequence;
    this.#nextSequence = firstSequence;
    this.#limit = limit;
    this.#onAbandon = onAbandon;
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size >= this.#limit;
  }

  /** Tests start near 2^32 to see the wrap-around. */
  startAtForTests(sequence: number): void {
    this.#nextSequence = sequence;
  }

  /** Numbers the request and keeps it. The caller has checked `full`. */
  add(request: PendingRequest): number {
    if (this.#size * 2 >= this.#rows.length) this.#grow();
    let sequence = this.#nextSequence;
    while (this.#rows[this.#index(sequence)] !== undefined) sequence = this.#after(sequence);
    this.#nextSequence = this.#after(sequence);
    this.#rows[this.#index(sequence)] = request;
    request.sequence = sequence;
    this.#size++;
    return sequence;
  }

  /** Removes and returns the request of that number, if it still waits. */
  take(sequence: number): PendingRequest | undefined {
    const index = this.#index(sequence);
    const request = this.#rows[index];
    if (request === undefined || request.sequence !== sequence) return undefined;
    this.#rows[index] = undefined;
    this.#size--;
    return request;
  }

  /** The caller gave up on this request: it rejects, and the peer may be told. */
  abandon(request: PendingRequest, error: SealwireError): void {
    if (this.take(request.sequence) === undefined) return;
    request.reject(error);
    this.#onAbandon(request.sequence);
  }

  /** Rejects everything that waits. */
  rejectAll(error: SealwireError): void {
    if (this.#size === 0) return;
    const rows = this.#rows;
    this.#rows = new Array(FIRST_CAPACITY).fill(undefined);
    this.#size = 0;
    for (const request of rows) request?.reject(error);
  }

  #index(sequence: number): number {
    return (sequence >>> 1) & (this.#rows.length - 1);
  }

  #after(sequence: number): number {
    return sequence >= 0xfffffffe ? this.#firstSequence : sequence + 2;
  }

  #grow(): void {
    const old = this.#rows;
    this.#rows = new Array(old.length * 2).fill(undefined);
    for (const request of old) {
      if (request !== undefined) this.#rows[this.#index(request.sequence)] = request;
    }
  }
}
