// Requests that wait for their answers, in a table with a power of two rows, indexed by the sequence number. All
// numbers of a side have one parity. They wrap around at 2^32, and skip 0 and those in flight.

import { SealwireError } from "../base/errors.ts";
import type { PendingRequest, RequestOwner } from "./pendingRequest.ts";
import { RequestNumbers } from "./requestNumbers.ts";

const FIRST_CAPACITY = 64;
/**
 * A peer may take any number of requests and end none. It holds at most so many times the limit of requests that wait for
 * answers, with those that their callers gave up.
 */
const MOST_HELD = 4;
/** The upper bits of a number tell its quarter of the range. */
const QUARTER_SHIFT = 30;

export class RequestTable implements RequestOwner {
  readonly #limit: number;
  readonly #firstSequence: number;
  readonly #keepsPermits: boolean;
  readonly #onAbandon: (sequence: number) => void;
  #rows: (PendingRequest | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #nextSequence: number;
  readonly numbers = new RequestNumbers();
  /**
   * The numbers pass a quarter of their range per era, 2^29 requests. A request whose number is two eras old is before all
   * others, whatever a comparison of numbers says, which sees half of the range.
   */
  #era = 0;
  #quarter = 0;
  /** Requests without a number, which are not sent yet. */
  #unsent = 0;
  /** Numbered requests that wait for their answers. */
  #waiting = 0;
  /** Numbered requests, including those whose callers gave up. */
  #occupied = 0;

  /**
   * `firstSequence` is 1 for clients and 2 for servers. `keepsPermits`: the peer ends every request (v2), and the
   * request holds its permit until then, even if its caller gave up. `onAbandon`: called when a request timed out or
   * was aborted, with its number, or 0 if it was not sent.
   */
  constructor(
    firstSequence: 1 | 2,
    limit: number,
    keepsPermits: boolean,
    onAbandon: (sequence: number) => void,
  ) {
    this.#firstSequence = firstSequence;
    this.#nextSequence = firstSequence;
    this.#limit = limit;
    this.#keepsPermits = keepsPermits;
    this.#onAbandon = onAbandon;
  }

  /** Requests that wait for their answers, including unsent ones. */
  get size(): number {
    return this.#waiting + this.#unsent;
  }

  get full(): boolean {
    return this.size >= this.#limit;
  }

  /** Permits of the peer that are in use: one for each request that the peer has not ended. */
  get occupied(): number {
    return this.#occupied;
  }

  /** All permits of the peer are in use, or as many as it may hold. */
  fills(permits: number): boolean {
    return this.#occupied >= Math.min(permits, this.#limit * MOST_HELD);
  }

  /** A request that will be sent later. */
  admit(): void {
    this.#unsent++;
  }

  /** An admitted request is sent now, or never. */
  leaveUnsent(): void {
    this.#unsent--;
  }

  /** Tests start near 2^32 to reach the wrap-around. */
  startAtForTests(sequence: number): void {
    this.#nextSequence = sequence;
  }

  /** Numbers the request and stores it. The caller has checked `full`. */
  add(request: PendingRequest): number {
    if (this.#occupied * 2 >= this.#rows.length) this.#grow();
    let sequence = this.#nextSequence;
    while (this.#rows[this.#index(sequence)] !== undefined) sequence = this.#after(sequence);
    this.#nextSequence = this.#after(sequence);
    this.numbers.add(sequence);
    this.#rows[this.#index(sequence)] = request;
    request.sequence = sequence;
    if (sequence >>> QUARTER_SHIFT !== this.#quarter) {
      this.#quarter = sequence >>> QUARTER_SHIFT;
      this.#era++;
    }
    request.era = this.#era;
    this.#waiting++;
    this.#occupied++;
    return sequence;
  }

  /** Removes and returns the request with this number. With permits, it may have settled before. */
  take(sequence: number): PendingRequest | undefined {
    const request = this.find(sequence);
    if (request !== undefined) this.remove(request);
    return request;
  }

  /** The request with this number, if it is unfinished. */
  find(sequence: number): PendingRequest | undefined {
    const request = this.#rows[this.#index(sequence)];
    return request?.sequence === sequence ? request : undefined;
  }

  /** Removes a request that `find` returned. */
  remove(request: PendingRequest): void {
    this.#rows[this.#index(request.sequence)] = undefined;
    this.#occupied--;
    if (!request.settled) this.#waiting--;
  }

  /** The caller gave up on this request: it rejects, and the peer may get a cancel. */
  abandon(request: PendingRequest, error: SealwireError): void {
    if (request.settled) return;
    const { sequence } = request;
    if (sequence === 0) {
      this.#unsent--;
      request.reject(new SealwireError(error.code, error.message, { cause: error.cause, notBegun: true }));
    } else {
      if (this.#keepsPermits) this.#waiting--;
      else this.take(sequence);
      request.reject(error);
    }
    this.#onAbandon(sequence);
  }

  /**
   * Rejects some of the waiting requests, and counts them. Their numbers and permits stay in use until they end. `isOld`:
   * the request is before all whose numbers can be compared.
   */
  rejectWhere(isMeant: (sequence: number, isOld: boolean) => boolean, error: SealwireError): number {
    let count = 0;
    for (const request of this.#rows) {
      if (request === undefined || request.settled || !isMeant(request.sequence, this.#isOld(request)))
        continue;
      this.#waiting--;
      count++;
      request.reject(error);
    }
    return count;
  }

  /** Rejects all sent requests that wait, each with the error for its number. `isOld`: see `rejectWhere`. */
  rejectAll(errorFor: (sequence: number, isOld: boolean) => SealwireError): void {
    if (this.#occupied === 0) return;
    const rows = this.#rows;
    this.#rows = new Array(FIRST_CAPACITY).fill(undefined);
    this.#waiting = 0;
    this.#occupied = 0;
    for (const request of rows) request?.reject(errorFor(request.sequence, this.#isOld(request)));
  }

  #isOld({ era }: PendingRequest): boolean {
    return this.#era - era >= 2;
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
