// Messages, requests and calls of the peer: from their arrival, through the waiting room if there is no room among the
// handlers, to the one end that every request gets. Protocol v2 accounts for them: what arrives was paid for, and the
// credit goes back when its handler begins, or when it is certain that it never will.

import { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { messageCost } from "../protocol/credit.ts";
import { Origin } from "../protocol/errorBody.ts";
import type { Role } from "../protocol/handshake.ts";
import { HeadReader } from "../protocol/preparedHead.ts";
import type { ArrivalsOptions } from "./arrivalsOptions.ts";
import { armDeadline, type CallParts, capped, EXPIRED, makeCallParts } from "./callParts.ts";
import { Handlers } from "./handlers.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { IncomingMessage } from "./message.ts";
import { MessageCredit } from "./messageCredit.ts";
import { MessageFactory } from "./messageFactory.ts";
import { MessageRuns } from "./messageRuns.ts";
import { MessageState } from "./messageState.ts";
import type { Outbox } from "./outbox.ts";
import { RequestEnds, type RequestEndsEvents, type RequestPeers } from "./requestEnds.ts";
import { RequestNumbers } from "./requestNumbers.ts";
import { TurnClock } from "./turnClock.ts";
import { WaitingRoom } from "./waitingRoom.ts";

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #limits: ResolvedLimits;
  readonly #events: RequestEndsEvents;
  readonly #speaksV2: boolean;
  readonly #ownParity: number;
  readonly lifecycle: Lifecycle;
  readonly #outbox: Outbox;
  readonly #handlers: Handlers;
  readonly #heads = new HeadReader();
  readonly #room = new WaitingRoom();
  readonly #ends: RequestEnds;
  readonly #messages: MessageFactory;
  /** Every record is work of its turn. */
  readonly clock: TurnClock;
  readonly credit: MessageCredit;
  readonly numbers = new RequestNumbers();
  /** The records of a bundle, as long as they are messages and requests that begin at once. */
  readonly runs: MessageRuns;
  /** The number of the last request whose handler began; 0: none. */
  lastBegun = 0;

  constructor(
    role: Role,
    speaksV2: boolean,
    options: ArrivalsOptions,
    peers: RequestPeers,
    events: RequestEndsEvents,
    clock = new TurnClock(peers.outbox.sender.bytes),
  ) {
    this.clock = clock;
    this.#options = options;
    this.#limits = options.limits;
    this.#events = events;
    this.#speaksV2 = speaksV2;
    this.#ownParity = role === "client" ? 1 : 0;
    this.lifecycle = peers.lifecycle;
    this.#outbox = peers.outbox;
    this.credit = new MessageCredit(speaksV2, peers.lifecycle, peers.outbox);
    this.#handlers = new Handlers(options, speaksV2, {
      onFailure: (message, code, text, data) => {
        this.#ends.withError(message, Origin.handler, code, text, data);
      },
      onDone: () => events.onSettled(),
    });
    this.#ends = new RequestEnds(speaksV2, peers, this.#handlers, events);
    this.#messages = new MessageFactory(this.#ends, options.bodyViews);
    this.runs = new MessageRuns(this, options, this.#room, this.#messages, this.#handlers);
  }

  /** Handlers that returned a promise which has not settled. */
  get running(): number {
    return this.#handlers.running;
  }

  /** No message waits for its handler. */
  get nothingWaits(): boolean {
    return this.#room.isEmpty;
  }

  /** No handler runs or waits, and no answer waits for items before it. */
  get idle(): boolean {
    return this.#handlers.running === 0 && this.#room.isEmpty && this.#ends.waiting === 0;
  }

  /** Another handler may begin. */
  get ready(): boolean {
    const busy = this.#speaksV2 ? this.#handlers.running : this.#handlers.tracked;
    return (
      !this.clock.isOver &&
      busy < this.#limits.maxConcurrentHandlers &&
      !this.#options.handlerBudget.full &&
      !this.#outbox.blocked
    );
  }

  /** Begins waiting messages, as far as the handlers have room. */
  beginWaiting(): void {
    while (!this.#room.isEmpty && this.ready && !this.lifecycle.isOver) {
      const message = this.#room.take();
      if (message === undefined) this.#beginPacked();
      else {
        this.#begin(message, message.waiting!.cost);
        this.#messages.hasWaited(message);
      }
    }
  }

  /** The peer is out of credit: it gets more if handlers keep up. */
  blocked(): void {
    if (this.#room.isEmpty && !this.#outbox.blocked) this.credit.widen();
  }

  /** Whether this is an unfinished request of the peer whose caller announced no chunks. */
  streamsNothing(sequence: number): boolean {
    return this.#handlers.request(sequence)?.streamsNothing ?? false;
  }

  // ---- What arrives -------------------------------------------------------------------------------------

  message(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    const cost = this.credit.pay(end - start);
    if (sequence === 0) {
      this.#oneWay(bytes, start, end, lent, more, cost);
      return;
    }
    this.checkNumber(sequence);
    const message = this.#messages.make(sequence, bytes, start, end, lent, more);
    this.#arrived(message, cost, lent);
  }

  call(sequence: number, bytes: Uint8Array, start: number, end: number, lent: boolean, more: number): void {
    const cost = this.credit.pay(end - start);
    if (sequence !== 0) this.checkNumber(sequence);
    const head = this.#heads.read(bytes, start, end);
    if (sequence === 0 && head.fault === undefined && this.#mustStore())
      return this.#store(bytes, start, end, lent, true);
    // A one-way message has no end and no streams, so its head's deadline and streams are ignored.
    const { maxStreams, maxDeadlineMs } = this.#limits;
    const deadlineMs = sequence === 0 ? undefined : capped(this.#heads.deadlineMs, maxDeadlineMs);
    const parts = makeCallParts(sequence, head, deadlineMs, this.#outbox.streams, this.#limits);
    const message = this.#messages.make(sequence, bytes, this.#heads.bodyStart, end, lent, more, parts);
    const { fault } = head;
    if (fault !== undefined) return this.#refuse(message, cost, fault.code, fault.message);
    const hasStreams = parts.incoming !== undefined || parts.outgoing !== undefined;
    if (hasStreams && this.#ends.openStreams >= maxStreams) {
      const text = `${maxStreams} calls with streams are open`;
      return this.#refuse(message, cost, "ERR_TOO_MANY_REQUESTS", text);
    }
    if (deadlineMs === 0) return this.#refuse(message, cost, "ERR_REQUEST_TIMEOUT", EXPIRED);
    if (hasStreams) this.#ends.openCall(sequence, parts);
    this.#arrived(message, cost, lent);
    // Most messages are answered by now. Only a message that runs or waits needs a timer for its deadline.
    if (deadlineMs !== undefined && (message.expectsReply || message.is(MessageState.answerWaits)))
      this.#armDeadline(message, parts, deadlineMs);
  }

  /**
   * The caller no longer waits.
   *
   * @throws SealwireError ERR_PROTOCOL for a request that was never made
   */
  cancel(sequence: number): void {
    const message = this.#handlers.request(sequence);
    const isTheirs = sequence !== 0 && (sequence & 1) !== this.#ownParity;
    if (message === undefined && !(isTheirs && this.numbers.has(sequence))) {
      throw new SealwireError("ERR_PROTOCOL", "a cancel of a request that was never made");
    }
    if (message === undefined || (message.answered && !message.is(MessageState.answerWaits))) return;
    this.#abandon(message, new SealwireError("ERR_ABORTED", "the caller no longer waits for the answer"));
  }

  /** The connection is over: the signals of all running handlers abort. */
  end(reason: SealwireError): void {
    this.#room.clear();
    this.#handlers.end(reason);
  }

  /** The number must be one of the peer's, and must not belong to an unfinished request. */
  checkNumber(sequence: number): void {
    if ((sequence & 1) === this.#ownParity) {
      throw new SealwireError("ERR_PROTOCOL", "a request with a number of this side's parity");
    }
    this.#handlers.checkNumber(sequence);
    if (this.#speaksV2 && this.#ends.unfinished >= this.#limits.maxRequests) {
      throw new SealwireError("ERR_PROTOCOL", `more than ${this.#limits.maxRequests} requests at once`);
    }
    this.numbers.add(sequence);
    this.#ends.unfinished++;
  }

  // ---- From arrival to handler --------------------------------------------------------------------------

  /** A one-way message has to wait. Until its handler begins, only its bytes are stored. */
  #mustStore(): boolean {
    const { onMessage } = this.#options;
    return this.#speaksV2 && onMessage !== undefined && (!this.#room.oneWay.isEmpty || !this.ready);
  }

  #store(bytes: Uint8Array, start: number, end: number, lent: boolean, hasHead: boolean): void {
    this.#room.addOneWay(bytes, start, end, lent, hasHead);
    this.clock.count();
  }

  /** A one-way message without a head. */
  #oneWay(bytes: Uint8Array, start: number, end: number, lent: boolean, more: number, cost: number): void {
    if (this.#options.onMessage === undefined) this.credit.giveBack(cost);
    else if (this.#mustStore()) this.#store(bytes, start, end, lent, false);
    else this.#begin(this.#messages.makeOneWay(bytes, start, end, lent, more), cost);
  }

  /** Begins the one-way message that was taken from the waiting room. */
  #beginPacked(): void {
    const { oneWay } = this.#room;
    const { bytes, start, end, alone, isMarked } = oneWay;
    const more = bytes.length - end;
    const message = isMarked
      ? this.#withHead(bytes, start, end, more)
      : this.#messages.makeOneWay(bytes, start, end, !alone, more);
    this.#begin(message, messageCost(end - start));
    if (isMarked) oneWay.wipe();
    else oneWay.done();
  }

  /** A one-way message whose head was read when it arrived. Behind it the body has no place that could be kept. */
  #withHead(bytes: Uint8Array, start: number, end: number, more: number): IncomingMessage {
    const head = this.#heads.read(bytes, start, end);
    const parts = makeCallParts(0, head, undefined, this.#outbox.streams, this.#limits);
    return this.#messages.make(0, bytes, this.#heads.bodyStart, end, true, more, parts);
  }

  /** `lent`: a body that is a view is valid only while the read is handled. */
  #arrived(message: IncomingMessage, cost: number, lent: boolean): void {
    if (this.#options.onMessage === undefined) {
      return this.#refuse(message, cost, "ERR_NO_HANDLER", "this side handles no messages");
    }
    const isRequest = message.sequence !== 0;
    if (!this.#speaksV2 || !isRequest || (!this.#room.hasRequests && this.ready)) {
      this.#begin(message, cost);
      return;
    }
    // A waiting message is counted by its length, so it must not retain a whole frame.
    const holdsMore = message.bytes.buffer.byteLength > 2 * (message.end - message.start);
    if ((this.#options.bodyViews && lent) || holdsMore) message.moveBody();
    this.#handlers.track(message);
    this.#room.add(message, cost);
    this.clock.count();
  }

  #begin(message: IncomingMessage, cost: number): void {
    this.credit.giveBack(cost);
    if (message.sequence !== 0) this.lastBegun = message.sequence;
    if (this.#handlers.run(message)) this.#messages.done(message);
    this.clock.count();
  }

  /**
   * The message never begins. The refusal counts as work of the turn; the credit goes back when the refusal has left.
   */
  #refuse(message: IncomingMessage, cost: number, code: string, text: string): void {
    this.clock.count();
    message.wipe();
    if (message.sequence === 0) return this.credit.giveBack(cost);
    this.#ends.withError(message, Origin.notBegun, code, text, undefined);
    if (!this.#speaksV2) return;
    const giveBack = (): void => {
      this.credit.giveBack(cost);
      this.credit.grant();
    };
    this.#outbox.sender.handedToKernel().then(giveBack, () => {});
  }

  /** No caller waits for the message any more. */
  #abandon(message: IncomingMessage, reason: SealwireError): void {
    const cost = this.#room.remove(message);
    if (cost === 0) return message.cancel(reason);
    this.#refuse(message, cost, reason.code, reason.message);
    message.cancel(reason);
    this.#events.onSettled();
  }

  #armDeadline(message: IncomingMessage, parts: CallParts, deadlineMs: number): void {
    const expired = (): void => this.#abandon(message, new SealwireError("ERR_REQUEST_TIMEOUT", EXPIRED));
    armDeadline(parts, deadlineMs, expired);
  }
}
