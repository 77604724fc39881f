// Messages and requests that wait until the peer can take them (protocol v2): until it gives credit, until one of its
// places for requests is free, or until its settings say that it takes something so long. They wait outside of what is
// being sent, so that answers, errors and credit never wait behind them.

import { SealwireError } from "../base/errors.ts";
import { copyOf } from "../core/bytes.ts";
import { type Balance, messageCost } from "../protocol/credit.ts";
import { memoryBudget } from "./memoryBudget.ts";
import type { PendingRequest } from "./requests.ts";

/** What is sent once the peer can take it. */
export interface Paid {
  readonly kind: number;
  body: Uint8Array;
  /** Undefined: a one-way message. */
  readonly request: PendingRequest | undefined;
  /** Its sender waits no longer. */
  readonly expired?: boolean;
  /** For a one-way message whose sender wants to know: it was appended, or won't be. */
  sent?(): void;
  failed?(error: SealwireError): void;
}

export interface PaidQueueEvents {
  /** Puts it into what is being sent. */
  send(paid: Paid): void;
  /** A request that its caller still waits for will not be sent. */
  dropped(): void;
  /** Why the peer will never take a body of this length, as far as that is known. */
  tooLong(paid: Paid): SealwireError | undefined;
  /** The peer takes a body of this length, as far as that is known. */
  fits(bodyBytes: number): boolean;
  /** All of the peer's places for requests are taken. */
  readonly requestsFull: boolean;
  /** Something begins to wait for credit. */
  onBlocked(): void;
}

export class PaidQueue {
  readonly #balance: Balance;
  readonly #events: PaidQueueEvents;
  /** Waits for credit, in order. */
  #forCredit: Paid[] = [];
  #creditHead = 0;
  /** Requests that wait for a place, in order: messages may overtake them. */
  #forPlace: Paid[] = [];
  #placeHead = 0;
  /** Bytes of the bodies that wait. */
  bytes = 0;
  #draining = false;

  constructor(balance: Balance, events: PaidQueueEvents) {
    this.#balance = balance;
    this.#events = events;
  }

  get isEmpty(): boolean {
    return this.#creditHead === this.#forCredit.length && this.#placeHead === this.#forPlace.length;
  }

  /** A body of this length can be sent at once, in its order. */
  passes(bodyBytes: number, isRequest: boolean): boolean {
    if (!this.#balance.positive || this.#creditHead < this.#forCredit.length) return false;
    if (isRequest && (this.#events.requestsFull || this.#placeHead < this.#forPlace.length)) return false;
    return this.#events.fits(bodyBytes);
  }

  /** It was sent without waiting. */
  spend(bodyBytes: number): void {
    this.#balance.spend(messageCost(bodyBytes));
  }

  /** Keeps a copy until it can be sent. */
  add(paid: Paid): void {
    paid.body = copyOf(paid.body);
    this.#count(messageCost(paid.body.length));
    this.#forCredit.push(paid);
    if (!this.#balance.positive) this.#events.onBlocked();
    this.drain();
  }

  /** Sends what can be sent now. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      this.#drainPlaces();
      this.#drainCredit();
    } finally {
      this.#draining = false;
    }
  }

  /** Nothing of it will be sent. */
  clear(error: SealwireError): void {
    const all = [...this.#forPlace.slice(this.#placeHead), ...this.#forCredit.slice(this.#creditHead)];
    this.#forPlace = [];
    this.#forCredit = [];
    this.#placeHead = 0;
    this.#creditHead = 0;
    for (const paid of all) this.#fail(paid, error);
  }

  #drainPlaces(): void {
    while (this.#placeHead < this.#forPlace.length) {
      const paid = this.#forPlace[this.#placeHead]!;
      if (!isOver(paid) && (this.#events.requestsFull || !this.#balance.positive)) return;
      this.#placeHead++;
      if (this.#placeHead === this.#forPlace.length) {
        this.#forPlace = [];
        this.#placeHead = 0;
      }
      this.#leave(paid);
    }
  }

  #drainCredit(): void {
    while (this.#creditHead < this.#forCredit.length) {
      const paid = this.#forCredit[this.#creditHead]!;
      if (!isOver(paid)) {
        const error = this.#events.tooLong(paid);
        if (error !== undefined) {
          this.#shift();
          this.#fail(paid, error);
          continue;
        }
        if (paid.request !== undefined && this.#events.requestsFull) {
          this.#shift();
          this.#forPlace.push(paid);
          continue;
        }
        if (!this.#balance.positive || !this.#events.fits(paid.body.length)) return;
      }
      this.#shift();
      this.#leave(paid);
    }
  }

  #shift(): void {
    this.#creditHead++;
    if (this.#creditHead === this.#forCredit.length) {
      this.#forCredit = [];
      this.#creditHead = 0;
    } else if (this.#creditHead >= 256 && this.#creditHead * 2 >= this.#forCredit.length) {
      this.#forCredit.splice(0, this.#creditHead);
      this.#creditHead = 0;
    }
  }

  #leave(paid: Paid): void {
    this.#count(-messageCost(paid.body.length));
    if (!isOver(paid)) {
      this.spend(paid.body.length);
      this.#events.send(paid);
      paid.sent?.();
    }
    paid.body.fill(0);
  }

  #fail(paid: Paid, error: SealwireError): void {
    this.#count(-messageCost(paid.body.length));
    paid.body.fill(0);
    const reason = new SealwireError(error.code, error.message, { cause: error.cause, notBegun: true });
    if (paid.request !== undefined && !paid.request.settled) {
      this.#events.dropped();
      paid.request.reject(reason);
    }
    paid.failed?.(reason);
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    memoryBudget.used += bytes;
  }
}

/** Its caller has given up: nothing of it is sent. */
function isOver(paid: Paid): boolean {
  return paid.request?.settled ?? paid.expired ?? false;
}
