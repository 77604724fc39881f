// Messages, requests and calls of the peer: from their arrival, through the waiting room if there is no room among the
// handlers, to the one end that every request gets. Protocol v2 accounts for them: what arrives was paid for, and the
// credit goes back when its handler begins, or when it is certain that it never will.

import { SealwireError } from "../base/errors.ts";
import { MAX_MS } from "../base/options.ts";
import { copyOf } from "../core/bytes.ts";
import { now } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import { placeBody, placed } from "../protocol/bodies.ts";
import { Allowance, messageCost } from "../protocol/credit.ts";
import { Origin } from "../protocol/errorBody.ts";
import type { Role } from "../protocol/handshake.ts";
import type { CallHead } from "../protocol/head.ts";
import { HeadReader, type SharedHead } from "../protocol/preparedHead.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import { Kind } from "../protocol/wire.ts";
import { Handlers, type HandlersOptions } from "./handlers.ts";
import { IncomingStream } from "./incomingStream.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type CallParts, IncomingMessage, type MessageOwner } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import { OutgoingStream } from "./outgoingStream.ts";
import type { Connection } from "./peer.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import { WaitingRoom } from "./waitingRoom.ts";

export interface ArrivalsOptions extends HandlersOptions {
  /** Bodies as views of memory that is used again, instead of copies. */
  readonly bodyViews: boolean;
  readonly maxConcurrentHandlers: number;
  readonly maxRequests: number;
  readonly maxStreams: number;
  readonly maxDeadlineMs: number;
  readonly messageCreditBytes: number;
  readonly maxItemBytes: number;
  readonly maxPendingBytes: number;
}

export interface ArrivalsEvents {
  /** A handler is done, or a request that waited is gone: there may be room, or nothing left in flight. */
  onSettled(): void;
  /** A message that was kept is kept no longer: there may be room. May be told inside a call of the application. */
  onRoom(): void;
}

/**
 * How long the handlers of one read may keep the event loop from everything else, and how often that is looked at. Of
 * the time between two looks only so much counts: on a busy machine another process may have had the rest, and
 * messages that wait for that cost more than those that don't.
 */
const TURN_MS = 10;
const LOOK_MS = 4;
const LOOK_AT_CLOCK_MASK = 31;
/** What a peer whose messages are begun at once may have on its way at most. */
const MAX_MESSAGE_WINDOW = 16_777_216;

export class Arrivals implements MessageOwner {
  readonly #options: ArrivalsOptions;
  readonly #events: ArrivalsEvents;
  readonly #speaksV2: boolean;
  readonly #ownParity: number;
  readonly #lifecycle: Lifecycle;
  readonly #outbox: Outbox;
  readonly connection: Connection;
  readonly #handlers: Handlers;
  readonly #heads = new HeadReader();
  readonly #room = new WaitingRoom();
  readonly #allowance: Allowance;
  /** With body views: the object of the last one-way message, for the next one. */
  #spare: IncomingMessage | undefined;
  /** Numbers of the last request that arrived, and of the last one whose handler began; 0: none. */
  #lastArrived = 0;
  lastBegun = 0;
  /** Requests of the peer that have no end yet, as the peer counts them. */
  #openRequests = 0;
  /** Answers behind items that are still to be sent. */
  #waitingAnswers = 0;
  /** Calls of the peer with streams that have no end yet. */
  #openStreams = 0;
  /** A pong waits to be sent until so many bytes were. */
  #pongAt = -1;
  /** Handlers have run for TURN_MS: before more do, the event loop should look for other events. */
  turnIsOver = false;
  #turnMs = 0;
  #lookedAt = 0;
  #turnMessages = 0;

  constructor(
    role: Role,
    speaksV2: boolean,
    options: ArrivalsOptions,
    peers: { readonly connection: Connection; readonly lifecycle: Lifecycle; readonly outbox: Outbox },
    events: ArrivalsEvents,
  ) {
    this.#options = options;
    this.#events = events;
    this.#speaksV2 = speaksV2;
    this.#ownParity = role === "client" ? 1 : 0;
    this.connection = peers.connection;
    this.#lifecycle = peers.lifecycle;
    this.#outbox = peers.outbox;
    this.#allowance = new Allowance(BASE_SETTINGS.messageCredit);
    this.#handlers = new Handlers(options, speaksV2, {
      onFailure: (message, code, text, data) => {
        this.#endWithError(message, Origin.handler, code, text, data);
      },
      onDone: () => events.onSettled(),
    });
  }

  /** This side's settings were sent: the peer may use them. */
  settingsSent(): void {
    const more = this.#options.messageCreditBytes - this.#allowance.window;
    if (more > 0) this.#allowance.raise(more);
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
    return this.#handlers.running === 0 && this.#room.isEmpty && this.#waitingAnswers === 0;
  }

  /** What the messages and requests cost that arrived and were not dealt with: 0 when nothing waits, or credit is lost. */
  get creditHeld(): number {
    return this.#allowance.outstanding - this.#allowance.returned;
  }

  /** Another handler may begin. */
  get ready(): boolean {
    const busy = this.#speaksV2 ? this.#handlers.running : this.#handlers.held;
    return (
      !this.turnIsOver &&
      busy <= this.#options.maxConcurrentHandlers &&
      !this.#options.handlerBudget.full &&
      !this.#outbox.blocked
    );
  }

  /** The handling of a read begins, or goes on after the event loop has run. */
  beginTurn(): void {
    this.#turnMs = 0;
    this.#lookedAt = now();
    this.#turnMessages = 0;
    this.turnIsOver = false;
  }

  #lookAtClock(): void {
    const at = now();
    this.#turnMs += Math.min(at - this.#lookedAt, LOOK_MS);
    this.#lookedAt = at;
    this.turnIsOver = this.#turnMs > TURN_MS;
  }

  /** Begins what waits, as far as there is room. */
  beginWaiting(): void {
    while (!this.#room.isEmpty && this.ready && !this.#lifecycle.isOver) {
      const message = this.#room.take();
      if (message === undefined) this.#beginPacked();
      else this.#begin(message, message.waitingCost);
    }
  }

  /** Gives the peer the credit that is due; coalesced, at the end of a read. */
  grantCredit(): void {
    const { due } = this.#allowance;
    if (due === 0 || !this.#speaksV2 || !this.#lifecycle.maySend) return;
    if (this.#outbox.blocked) {
      // Not now, but as soon as the peer has taken enough: nothing else may remind this side.
      this.#outbox.sender.wantsRelief = true;
      return;
    }
    this.#allowance.given(due);
    this.#outbox.controls.credit(0, due);
  }

  /** The peer has more than its credit: it gets more, if handlers keep up. */
  blocked(): void {
    if (!this.#room.isEmpty || this.#outbox.blocked) return;
    const { window } = this.#allowance;
    const more = Math.min(window, MAX_MESSAGE_WINDOW - window);
    if (more > 0) this.#allowance.widen(more);
  }

  hasArrived(sequence: number): boolean {
    return this.#lastArrived !== 0 && ((this.#lastArrived - sequence) | 0) >= 0;
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
    const cost = this.#pay(end - start);
    if (sequence === 0) {
      this.#oneWay(bytes, start, end, lent, more, cost);
      return;
    }
    this.#checkNumber(sequence);
    const message = this.#newMessage(sequence, bytes, start, end, lent, more);
    this.#arrived(message, cost, this.#options.bodyViews && lent);
  }

  call(sequence: number, bytes: Uint8Array, start: number, end: number, lent: boolean, more: number): void {
    const cost = this.#pay(end - start);
    if (sequence !== 0) this.#checkNumber(sequence);
    const head = this.#heads.read(bytes, start, end);
    // A one-way message has neither an end to wait for nor streams: what its head says of them means nothing.
    const deadlineMs = sequence === 0 ? undefined : this.#capped(this.#heads.deadlineMs);
    const parts = this.#callParts(sequence, head, deadlineMs);
    const message = this.#newMessage(sequence, bytes, this.#heads.bodyStart, end, lent, more, parts);
    const { fault } = head;
    if (fault !== undefined) return this.#refuse(message, cost, fault.code, fault.message);
    const { maxStreams } = this.#options;
    const hasStreams = parts.incoming !== undefined || parts.outgoing !== undefined;
    if (hasStreams && this.#openStreams >= maxStreams) {
      return this.#refuse(
        message,
        cost,
        "ERR_TOO_MANY_REQUESTS",
        `${maxStreams} calls with streams are open`,
      );
    }
    if (deadlineMs === 0) return this.#refuse(message, cost, "ERR_REQUEST_TIMEOUT", EXPIRED);
    if (hasStreams) this.#openCall(sequence, parts);
    this.#arrived(message, cost, this.#options.bodyViews && lent);
    // Most are answered by now: only what goes on or waits has a deadline to be watched.
    if (deadlineMs !== undefined && (message.expectsReply || message.answerWaits))
      this.#armDeadline(message, parts, deadlineMs);
  }

  #capped(deadlineMs: number | undefined): number | undefined {
    const { maxDeadlineMs } = this.#options;
    return maxDeadlineMs === 0 ? deadlineMs : Math.min(deadlineMs ?? maxDeadlineMs, maxDeadlineMs);
  }

  /**
   * The caller no longer waits.
   *
   * @throws SealwireError ERR_PROTOCOL for a request that was never made
   */
  cancel(sequence: number): void {
    const message = this.#handlers.request(sequence);
    const isTheirs = sequence !== 0 && (sequence & 1) !== this.#ownParity;
    if (message === undefined && !(isTheirs && this.hasArrived(sequence))) {
      throw new SealwireError("ERR_PROTOCOL", "a cancel of a request that was never made");
    }
    if (message === undefined || (message.answered && !message.answerWaits)) return;
    this.#abandon(message, new SealwireError("ERR_ABORTED", "the caller no longer waits for the answer"));
  }

  /** At most one pong waits: it answers all pings that came before it leaves. */
  ping(sequence: number): void {
    const { sender, controls } = this.#outbox;
    if (!this.#lifecycle.maySend || sender.writtenBytes < this.#pongAt) return;
    controls.pong(sequence);
    this.#pongAt = sender.enqueuedBytes;
  }

  /** The connection is over: every handler that still runs is told. */
  end(reason: SealwireError): void {
    this.#room.clear();
    this.#handlers.end(reason);
  }

  #pay(bytes: number): number {
    if (!this.#speaksV2) return 0;
    const cost = messageCost(bytes);
    if (!this.#allowance.receive(cost)) {
      throw new SealwireError("ERR_PROTOCOL", "a message that the peer had no credit for");
    }
    return cost;
  }

  /** A request's number must be the peer's, and not one whose request still waits for its end. */
  #checkNumber(sequence: number): void {
    if ((sequence & 1) === this.#ownParity) {
      throw new SealwireError("ERR_PROTOCOL", "a request with a number of this side's parity");
    }
    this.#handlers.checkNumber(sequence);
    if (this.#speaksV2 && this.#openRequests >= this.#options.maxRequests) {
      throw new SealwireError("ERR_PROTOCOL", `more than ${this.#options.maxRequests} requests at once`);
    }
    this.#lastArrived = sequence;
    this.#openRequests++;
  }

  #callParts(sequence: number, head: SharedHead, deadlineMs: number | undefined): CallParts {
    const { streamCredit } = head;
    const parts: CallParts = {
      head,
      deadlineAt: deadlineMs === undefined ? undefined : now() + Math.min(deadlineMs, MAX_MS),
      deadline: undefined,
      hasStreams: false,
      incoming: undefined,
      outgoing: undefined,
    };
    if (sequence === 0 || (!head.streams && streamCredit === undefined)) return parts;
    const { streams } = this.#outbox;
    const { maxItemBytes, maxPendingBytes } = this.#options;
    const number = (): number => sequence;
    if (head.streams) parts.incoming = new IncomingStream(streams, number, maxItemBytes);
    if (streamCredit !== undefined) {
      parts.outgoing = new OutgoingStream(streams, number, streamCredit, maxPendingBytes);
    }
    return parts;
  }

  #newMessage(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
    parts?: CallParts,
  ): IncomingMessage {
    if (this.#options.bodyViews || !lent)
      return new IncomingMessage(this, sequence, bytes, start, end, parts);
    placeBody(bytes, start, end, more);
    const at = placed.start;
    return new IncomingMessage(this, sequence, placed.bytes, at, at + end - start, parts);
  }

  /** A one-way message with a view as its body ends when its handler returns: the next one is the same object. */
  #lentMessage(bytes: Uint8Array, start: number, end: number): IncomingMessage {
    const message = this.#spare;
    if (message === undefined) return new IncomingMessage(this, 0, bytes, start, end);
    this.#spare = undefined;
    message.reuse(bytes, start, end);
    return message;
  }

  // ---- From arrival to handler --------------------------------------------------------------------------

  /** A one-way message without a head. Until it begins, it is nothing but its bytes. */
  #oneWay(bytes: Uint8Array, start: number, end: number, lent: boolean, more: number, cost: number): void {
    if (this.#options.onMessage === undefined) this.#allowance.giveBack(cost);
    else if (this.#speaksV2 && (!this.#room.oneWay.isEmpty || !this.ready))
      this.#room.oneWay.push(bytes, start, end);
    else this.#beginOneWay(bytes, start, end, lent, more, cost);
  }

  #beginOneWay(
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
    cost: number,
  ): void {
    const message = this.#options.bodyViews
      ? this.#lentMessage(bytes, start, end)
      : this.#newMessage(0, bytes, start, end, lent, more);
    this.#begin(message, cost);
  }

  /** The one-way message that was taken from the waiting room. */
  #beginPacked(): void {
    const { oneWay } = this.#room;
    const { bytes, start, end, alone } = oneWay;
    this.#beginOneWay(bytes, start, end, !alone, bytes.length - end, messageCost(end - start));
    oneWay.done();
  }

  /** `isLent`: its body is gone when the read has been handled. */
  #arrived(message: IncomingMessage, cost: number, isLent: boolean): void {
    if (this.#options.onMessage === undefined) {
      return this.#refuse(message, cost, "ERR_NO_HANDLER", "this side handles no messages");
    }
    const isRequest = message.sequence !== 0;
    const mustWait = isRequest ? this.#room.hasRequests : !this.#room.oneWay.isEmpty;
    if (!this.#speaksV2 || (!mustWait && this.ready)) {
      this.#begin(message, cost);
      return;
    }
    const { bytes, start, end } = message;
    // What waits is counted by its length: it must not hold a whole frame alive.
    if (isLent || bytes.length > end - start) message.reuse(copyOf(bytes, start, end), 0, end - start);
    if (isRequest) this.#handlers.hold(message);
    this.#room.add(message, cost);
  }

  #begin(message: IncomingMessage, cost: number): void {
    if ((++this.#turnMessages & LOOK_AT_CLOCK_MASK) === 0) this.#lookAtClock();
    this.#allowance.giveBack(cost);
    if (message.sequence !== 0) this.lastBegun = message.sequence;
    const isFree = this.#handlers.run(message);
    if (isFree && message.sequence === 0 && this.#options.bodyViews) this.#spare = message;
  }

  /** It never begins. Its credit goes back when the refusal has left, so that nobody gets refusals for nothing. */
  #refuse(message: IncomingMessage, cost: number, code: string, text: string): void {
    if (message.sequence === 0) {
      this.#allowance.giveBack(cost);
      return;
    }
    this.#endWithError(message, Origin.notBegun, code, text, undefined);
    if (!this.#speaksV2) return;
    const giveBack = (): void => {
      this.#allowance.giveBack(cost);
      this.grantCredit();
    };
    this.#outbox.sender.handedToKernel().then(giveBack, () => {});
  }

  // ---- The one end of a request -------------------------------------------------------------------------

  #endWithError(
    message: IncomingMessage,
    origin: Origin,
    code: string,
    text: string,
    data: Uint8Array | undefined,
  ): void {
    if (message.answered || !this.#lifecycle.maySend) return;
    message.callParts?.outgoing?.fail(
      new SealwireError("ERR_ALREADY_ANSWERED", "the call was answered with an error"),
    );
    if (this.#outbox.controls.error(message.sequence, origin, code, text, data)) {
      message.markAnswered();
      this.#ended(message);
    }
  }

  /** The request's end is out: nothing of it goes on, and its number is free. */
  #ended(message: IncomingMessage): void {
    this.#openRequests--;
    this.#closeCall(message);
  }

  /** Nobody waits for it any more. */
  #abandon(message: IncomingMessage, reason: SealwireError): void {
    const cost = this.#room.remove(message);
    if (cost === 0) {
      message.cancel(reason);
      return;
    }
    this.#refuse(message, cost, reason.code, reason.message);
    message.cancel(reason);
    this.#events.onSettled();
  }

  #armDeadline(message: IncomingMessage, parts: CallParts, deadlineMs: number): void {
    parts.deadline = new CallbackDeadline(() => {
      this.#abandon(message, new SealwireError("ERR_REQUEST_TIMEOUT", EXPIRED));
    });
    timers.arm(parts.deadline, Math.max(Math.min(deadlineMs, MAX_MS, parts.deadlineAt! - now()), 1));
  }

  #openCall(sequence: number, parts: CallParts): void {
    this.#openStreams++;
    parts.hasStreams = true;
    this.#outbox.streams.add(sequence, { incoming: parts.incoming, outgoing: parts.outgoing });
  }

  /** A call has its end: nothing of it goes on. */
  #closeCall(message: IncomingMessage): void {
    const parts = message.callParts;
    if (parts === undefined) return;
    if (parts.deadline !== undefined) timers.cancel(parts.deadline);
    if (!parts.hasStreams) return;
    parts.hasStreams = false;
    this.#openStreams--;
    parts.incoming?.close();
    this.#outbox.streams.remove(message.sequence);
  }

  // ---- MessageOwner -------------------------------------------------------------------------------------

  reply(message: IncomingMessage, body: Uint8Array, head: CallHead | undefined): boolean {
    const outbox = this.#outbox;
    outbox.checkBody(body);
    const outgoing = message.callParts?.outgoing;
    const isSentNow = outgoing === undefined || outgoing.isEmpty;
    const answer = head === undefined ? body : outbox.encodeAnswer(body, head, isSentNow);
    const kind = head === undefined ? Kind.reply : Kind.answer;
    if (!this.#lifecycle.maySend) {
      if (answer !== body) wipe(answer);
      return false;
    }
    const { sequence } = message;
    if (isSentNow) {
      outbox.sender.append(sequence, kind, answer);
      if (answer !== body) wipe(answer);
      this.#ended(message);
      return true;
    }
    // Items that were written before leave before the answer. Until then the request has no end: a cancel finds it.
    const copy = answer === body ? copyOf(body) : answer;
    this.#handlers.hold(message);
    message.answerWaits = true;
    this.#waitingAnswers++;
    outgoing.whenEmpty(() => {
      this.#waitingAnswers--;
      message.answerLeft();
      if (!this.#lifecycle.maySend) this.#closeCall(message);
      else if (message.cancelReason !== undefined) this.endCancelled(message);
      else {
        outbox.sender.append(sequence, kind, copy);
        this.#ended(message);
      }
      copy.fill(0);
      this.#events.onSettled();
    });
    return true;
  }

  hold(message: IncomingMessage): void {
    if (this.#lifecycle.isOver) {
      message.cancel(new SealwireError("ERR_CONNECTION_LOST", "the connection is gone"));
      return;
    }
    this.#handlers.hold(message);
  }

  drop(message: IncomingMessage): void {
    this.#handlers.drop(message);
    this.#events.onRoom();
  }

  endCancelled(message: IncomingMessage): void {
    if (this.#speaksV2 && this.#lifecycle.maySend && message.sequence !== 0) {
      const { code } = message.cancelReason!;
      this.#outbox.controls.error(message.sequence, Origin.library, code, "");
    }
    this.#ended(message);
  }
}

const EXPIRED = "the deadline of the call has passed";
