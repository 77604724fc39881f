// Keeps messages and requests until the peer can take them (protocol v2): until it gives credit, until it takes another
// request, or until its settings say that it takes one of such a length. They wait apart from the send queue, so that
// answers, errors and credit never wait behind them.

import { SealwireError } from "../base/errors.ts";
import { copyOf, viewOf } from "../core/bytes.ts";
import { type Balance, messageCost } from "../protocol/credit.ts";
import { Fifo } from "./fifo.ts";
import { WAITING_OBJECT_BYTES } from "./memoryBudget.ts";
import { PackedQueue } from "./packedQueue.ts";
import type { PendingRequest } from "./pendingRequest.ts";

/** A request, or a one-way message whose sender awaits its outcome, until the peer can take it. */
export interface Paid {
  readonly kind: number;
  body: Uint8Array;
  /** Undefined: a one-way message. */
  readonly request: PendingRequest | undefined;
  /** Its sender waits no longer. */
  readonly expired?: boolean;
  /** For a one-way message whose sender awaits its outcome: it was appended, or won't be. */
  sent?(): void;
  failed?(error: SealwireError): void;
}

export interface PaidQueueEvents {
  /** Appends it to the send queue. */
  send(paid: Paid): void;
  /** The same for a one-way message whose sender awaits nothing; the body is valid during the call. */
  sendOneWay(body: Uint8Array): void;
  /** So much memory waits more; below 0: less. */
  hold(bytes: number): void;
  /** A request whose caller still waits will not be sent. */
  dropped(): void;
  /** The error if the peer will never take a body of this length, as far as that is known. */
  tooLong(bodyBytes: number): SealwireError | undefined;
  /** All of the peer's permits for requests are taken. */
  requestsFull(): boolean;
  /** The first message or request waits for credit. */
  onBlocked(): void;
}

export class PaidQueue {
  readonly #balance: Balance;
  readonly #events: PaidQueueEvents;
  /** Waits for credit, in order. One-way messages whose senders await nothing are stored as bytes. */
  readonly #forCredit = new PackedQueue<Paid>();
  /** Requests that wait for a permit, in order: messages may overtake them. */
  readonly #forPermit = new Fifo<Paid>();
  /** The cost of everything that waits. */
  bytes = 0;
  /** The longest body that the peer takes, as far as that is known. */
  longestBody: number;
  #draining = false;

  constructor(balance: Balance, longestBody: number, events: PaidQueueEvents) {
    this.#balance = balance;
    this.longestBody = longestBody;
    this.#events = events;
  }

  get isEmpty(): boolean {
    return this.#forCredit.isEmpty && this.#forPermit.isEmpty;
  }

  /** A body of this length can be sent at once, in its order. */
  passes(bodyBytes: number, isRequest: boolean): boolean {
    if (!this.#balance.positive || !this.#forCredit.isEmpty) return false;
    if (isRequest && (this.#events.requestsFull() || !this.#forPermit.isEmpty)) return false;
    return bodyBytes <= this.longestBody;
  }

  /** A body was sent without waiting. */
  spend(bodyBytes: number): void {
    this.#balance.spend(messageCost(bodyBytes));
  }

  /** Stores a copy until it can be sent. */
  add(paid: Paid): void {
    paid.body = copyOf(paid.body);
    this.#forCredit.pushItem(paid);
    this.#events.hold(WAITING_OBJECT_BYTES);
    this.#added(paid.body.length);
  }

  /** The same for a one-way message whose sender awaits nothing. */
  addOneWay(body: Uint8Array): void {
    this.#forCredit.push(body, 0, body.length);
    this.#added(body.length);
  }

  #added(bodyBytes: number): void {
    this.#count(messageCost(bodyBytes));
    this.drain();
  }

  /** Sends everything that can be sent now. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      this.#drainPermits();
      this.#drainCredit();
    } finally {
      this.#draining = false;
    }
    if (!this.#balance.positive && !this.isEmpty) this.#events.onBlocked();
  }

  /** Drops everything that waits. */
  clear(error: SealwireError): void {
    const all = [...this.#forPermit.takeAll(), ...this.#forCredit.clear()];
    this.#count(-this.bytes);
    this.#events.hold(-all.length * WAITING_OBJECT_BYTES);
    for (const paid of all) this.#reject(paid, error);
  }

  #drainPermits(): void {
    for (let paid = this.#forPermit.first; paid !== undefined; paid = this.#forPermit.first) {
      if (!isOver(paid) && (this.#events.requestsFull() || !this.#balance.positive)) return;
      this.#forPermit.shift();
      this.#leave(paid);
    }
  }

  #drainCredit(): void {
    while (!this.#forCredit.isEmpty) {
      const paid = this.#forCredit.firstItem;
      if (paid === undefined ? !this.#oneWayLeaves() : !this.#leaves(paid)) return;
    }
  }

  /** Sends the first entry, a one-way message whose sender awaits nothing, if it may leave. */
  #oneWayLeaves(): boolean {
    const { firstBytes } = this.#forCredit;
    const isTooLong = this.#events.tooLong(firstBytes) !== undefined;
    if (!isTooLong && !this.#mayLeave(firstBytes)) return false;
    this.#forCredit.take();
    this.#count(-messageCost(firstBytes));
    if (!isTooLong) {
      const { bytes, start, end } = this.#forCredit;
      this.spend(firstBytes);
      this.#events.sendOneWay(viewOf(bytes, start, end));
    }
    this.#forCredit.wipe();
    return true;
  }

  /** Sends the first entry, this one, if it may leave, or moves it to those that wait for a permit. */
  #leaves(paid: Paid): boolean {
    const error = isOver(paid) ? undefined : this.#events.tooLong(paid.body.length);
    const waitsForPermit = !isOver(paid) && paid.request !== undefined && this.#events.requestsFull();
    const goes = isOver(paid) || error !== undefined || waitsForPermit || this.#mayLeave(paid.body.length);
    if (!goes) return false;
    this.#forCredit.take();
    if (error !== undefined) this.#fail(paid, error);
    else if (waitsForPermit) this.#forPermit.push(paid);
    else this.#leave(paid);
    return true;
  }

  #mayLeave(bodyBytes: number): boolean {
    return this.#balance.positive && bodyBytes <= this.longestBody;
  }

  #leave(paid: Paid): void {
    this.#left(paid);
    if (!isOver(paid)) {
      this.spend(paid.body.length);
      this.#events.send(paid);
      paid.sent?.();
    }
    paid.body.fill(0);
  }

  #fail(paid: Paid, error: SealwireError): void {
    this.#left(paid);
    this.#reject(paid, error);
  }

  #reject(paid: Paid, error: SealwireError): void {
    paid.body.fill(0);
    const reason = new SealwireError(error.code, error.message, { cause: error.cause, notBegun: true });
    if (paid.request !== undefined && !paid.request.settled) {
      this.#events.dropped();
      paid.request.reject(reason);
    }
    paid.failed?.(reason);
  }

  #left({ body }: Paid): void {
    this.#events.hold(-WAITING_OBJECT_BYTES);
    this.#count(-messageCost(body.length));
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    this.#events.hold(bytes);
  }
}

/** Its caller has given up, so it is not sent. */
function isOver(paid: Paid): boolean {
  return paid.request?.settled ?? paid.expired ?? false;
}
