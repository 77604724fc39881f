// What arrives on an established connection: the switch over the kinds of records, and the handlers that run because
// of them. This is the one place that calls the application's handler.

import { Kind } from "../base/constants.ts";
import { SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import { now } from "../core/eventLoop.ts";
import type { RecordHandler } from "../protocol/backlog.ts";
import { decodeError } from "../protocol/errorBody.ts";
import type { Role } from "../protocol/handshake.ts";
import { copyBody } from "./bodies.ts";
import type { HandlerBudget } from "./handlerBudget.ts";
import { describeForPeer, type ErrorExposure } from "./handlerErrors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { callListener } from "./listeners.ts";
import { IncomingMessage, type MessageOwner } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import type { Connection, Message, MessageHandler } from "./peer.ts";
import type { PendingRequest, RequestTable } from "./requests.ts";

export interface InboxOptions extends ErrorExposure {
  readonly onMessage: MessageHandler | undefined;
  readonly onHandlerError: (error: unknown, message: Message) => void;
  /** Bodies as views of memory that is used again, instead of copies. */
  readonly bodyViews: boolean;
  readonly maxConcurrentHandlers: number;
  /** Handlers of all connections of the client or server. */
  readonly handlerBudget: HandlerBudget;
}

/** The rest of the connection, as far as what arrives concerns it. */
export interface InboxPeers {
  readonly connection: Connection;
  readonly lifecycle: Lifecycle;
  readonly requests: RequestTable;
  readonly outbox: Outbox;
}

export interface InboxEvents {
  /** The peer's first frame opened. */
  onProven(): void;
  /** The peer said drain, or close. */
  onDrainHeard(): void;
  onCloseHeard(): void;
  /** A request of this side was answered, or a handler is done: there may be room, or nothing left in flight. */
  onSettled(): void;
}

/** How long the handlers of one read may keep the event loop from everything else, and how often that is looked at. */
const TURN_MS = 10;
const LOOK_AT_CLOCK_MASK = 31;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

const { then } = Promise.prototype;

/** Takes a result as `await` takes it: one of the two is called, once, whatever the application's `then` does. */
function whenSettled(result: unknown, done: () => void, failed: (error: unknown) => void): void {
  try {
    if (result instanceof Promise) {
      then.call(result, done, failed);
      return;
    }
  } catch {
    // A subclass whose constructor can't be used for the promise that `then` makes, or a proxy without a prototype.
  }
  then.call(new Promise((resolve) => resolve(result)), done, failed);
}

export class Inbox implements RecordHandler, MessageOwner {
  readonly #options: InboxOptions;
  readonly #events: InboxEvents;
  readonly #lifecycle: Lifecycle;
  readonly #requests: RequestTable;
  readonly #outbox: Outbox;
  readonly connection: Connection;
  /** Parity of the numbers of this side's requests. */
  readonly #ownParity: number;
  /** Handlers that returned a promise which has not settled. */
  #running = 0;
  /** Messages that a cancel or the end of the connection has to reach: requests by number, and the others. */
  readonly #heldRequests = new Map<number, IncomingMessage>();
  readonly #heldOthers = new Set<IncomingMessage>();
  /** With body views: the object of the last one-way message, for the next one. */
  #spare: IncomingMessage | undefined;
  /** Handlers have run for TURN_MS: before more do, the event loop should look for other events. */
  turnIsOver = false;
  #turnBegan = 0;
  #turnMessages = 0;
  droppedReplies = 0;
  /** A request of this side was answered, if only with an error. */
  answered = false;

  constructor(role: Role, options: InboxOptions, peers: InboxPeers, events: InboxEvents) {
    this.#ownParity = role === "client" ? 1 : 0;
    this.#options = options;
    this.#events = events;
    this.connection = peers.connection;
    this.#lifecycle = peers.lifecycle;
    this.#requests = peers.requests;
    this.#outbox = peers.outbox;
  }

  // ---- RecordHandler ------------------------------------------------------------------------------------

  /** The handling of a read begins, or goes on after the event loop has run. */
  beginTurn(): void {
    this.#turnBegan = now();
    this.#turnMessages = 0;
    this.turnIsOver = false;
  }

  get ready(): boolean {
    return (
      !this.turnIsOver &&
      this.#heldRequests.size + this.#heldOthers.size <= this.#options.maxConcurrentHandlers &&
      !this.#options.handlerBudget.full &&
      !this.#outbox.blocked
    );
  }

  get stopped(): boolean {
    return this.#lifecycle.isOver;
  }

  proven(): void {
    this.#events.onProven();
  }

  record(
    sequence: number,
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    if (this.#lifecycle.peerClosed) throw new SealwireError("ERR_PROTOCOL", "a frame after the peer's close");
    switch (kind) {
      case Kind.message:
        this.#handleMessage(sequence, bytes, start, end, lent, more);
        return;
      case Kind.reply:
        this.#handleReply(sequence, bytes, start, end, lent, more);
        return;
      case Kind.error:
        this.#takeRequest(sequence)?.reject(decodeError(viewOf(bytes, start, end)));
        this.#events.onSettled();
        return;
      case Kind.cancel:
        this.#heldRequests
          .get(sequence)
          ?.cancel(new SealwireError("ERR_ABORTED", "the caller no longer waits for the answer"));
        return;
      case Kind.ping:
        if (this.#lifecycle.maySend) this.#outbox.controls.pong(sequence);
        return;
      case Kind.pong:
        return;
      case Kind.drain:
        this.#events.onDrainHeard();
        return;
      case Kind.close:
        this.#events.onCloseHeard();
        return;
      default:
        throw new SealwireError("ERR_PROTOCOL", `a frame of unknown kind ${kind}`);
    }
  }

  // ---- Messages and their handlers ----------------------------------------------------------------------

  /** Handlers that returned a promise which has not settled. */
  get running(): number {
    return this.#running;
  }

  #handleMessage(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    if ((++this.#turnMessages & LOOK_AT_CLOCK_MASK) === 0)
      this.turnIsOver = now() - this.#turnBegan > TURN_MS;
    if (sequence !== 0) this.#checkNumber(sequence);
    const { onMessage, bodyViews } = this.#options;
    const message =
      bodyViews && sequence === 0
        ? this.#lentMessage(bytes, start, end)
        : this.#newMessage(sequence, bytes, start, end, lent, more);
    if (onMessage === undefined) {
      this.#replyError(message, "ERR_NO_HANDLER", "this side handles no messages");
      return;
    }
    let result: unknown;
    let goesOn: boolean;
    try {
      result = onMessage(message);
      goesOn = isThenable(result);
    } catch (error) {
      this.#handlerFailed(error, message);
      message.finish();
      return;
    }
    if (goesOn) this.#runAsync(result, message);
    else {
      message.finish();
      if (bodyViews && sequence === 0 && !message.hasSignal) this.#spare = message;
    }
  }

  /** A request's number must be the peer's, and not one whose request still waits for its answer. */
  #checkNumber(sequence: number): void {
    if ((sequence & 1) === this.#ownParity) {
      throw new SealwireError("ERR_PROTOCOL", "a request with a number of this side's parity");
    }
    const earlier = this.#heldRequests.get(sequence);
    if (earlier === undefined) return;
    if (earlier.expectsReply) {
      throw new SealwireError("ERR_PROTOCOL", "a request with the number of one that is running");
    }
    // Its handler goes on after the answer, or the cancel: the number is free, the handler is still told of the end.
    this.#heldRequests.delete(sequence);
    this.#heldOthers.add(earlier);
  }

  #newMessage(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): IncomingMessage {
    if (this.#options.bodyViews || !lent) return new IncomingMessage(this, sequence, bytes, start, end);
    const body = copyBody(bytes, start, end, more);
    return new IncomingMessage(this, sequence, body, 0, body.length);
  }

  /** A one-way message with a view as its body ends when its handler returns: the next one is the same object. */
  #lentMessage(bytes: Uint8Array, start: number, end: number): IncomingMessage {
    const message = this.#spare;
    if (message === undefined) return new IncomingMessage(this, 0, bytes, start, end);
    this.#spare = undefined;
    message.reuse(bytes, start, end);
    return message;
  }

  #runAsync(result: unknown, message: IncomingMessage): void {
    this.#running++;
    this.#options.handlerBudget.begin();
    message.running = true;
    this.hold(message);
    whenSettled(
      result,
      () => this.#handlerDone(message),
      (error) => {
        this.#handlerFailed(error, message);
        this.#handlerDone(message);
      },
    );
  }

  #handlerDone(message: IncomingMessage): void {
    this.#running--;
    message.finish();
    this.#options.handlerBudget.end();
    this.#events.onSettled();
  }

  #handlerFailed(error: unknown, message: IncomingMessage): void {
    if (message.expectsReply) {
      const { code, text } = describeForPeer(error, this.#options);
      this.#replyError(message, code, text);
    }
    callListener("onHandlerError", this.#options.onHandlerError, error, message);
  }

  #replyError(message: IncomingMessage, code: string, text: string): void {
    if (!message.expectsReply || !this.#lifecycle.maySend) return;
    if (this.#outbox.controls.error(message.sequence, code, text)) message.markAnswered();
  }

  // ---- Answers ------------------------------------------------------------------------------------------

  #handleReply(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    const request = this.#takeRequest(sequence);
    if (request === undefined) return;
    const { into } = request;
    if (into === undefined) {
      request.resolve(lent ? copyBody(bytes, start, end, more) : viewOf(bytes, start, end));
    } else if (end - start > into.length) {
      const text = `the answer has ${end - start} bytes, the caller's buffer ${into.length}`;
      request.reject(new SealwireError("ERR_MESSAGE_TOO_LARGE", text));
    } else {
      // The caller's buffer may be gone by now: that is an empty one, and only an empty answer fits.
      const target = viewOf(into, 0, end - start);
      target.set(viewOf(bytes, start, end));
      request.resolve(target);
    }
    this.#events.onSettled();
  }

  #takeRequest(sequence: number): PendingRequest | undefined {
    const mine = (sequence & 1) === this.#ownParity && sequence !== 0;
    const request = mine ? this.#requests.take(sequence) : undefined;
    if (request === undefined) this.droppedReplies++;
    else this.answered = true;
    return request;
  }

  // ---- MessageOwner -------------------------------------------------------------------------------------

  reply(sequence: number, body: Uint8Array): boolean {
    return this.#outbox.reply(sequence, body);
  }

  hold(message: IncomingMessage): void {
    if (message.held) return;
    if (this.#lifecycle.isOver) {
      message.cancel(new SealwireError("ERR_CONNECTION_LOST", "the connection is gone"));
      return;
    }
    message.held = true;
    if (message.sequence === 0) this.#heldOthers.add(message);
    else this.#heldRequests.set(message.sequence, message);
  }

  drop(message: IncomingMessage): void {
    message.held = false;
    if (this.#heldRequests.get(message.sequence) === message) this.#heldRequests.delete(message.sequence);
    else this.#heldOthers.delete(message);
  }

  /** The connection is over: every handler that still runs is told. */
  end(reason: SealwireError): void {
    const held = [...this.#heldRequests.values(), ...this.#heldOthers];
    this.#heldRequests.clear();
    this.#heldOthers.clear();
    for (const message of held) {
      message.held = false;
      message.cancel(reason);
    }
  }
}
