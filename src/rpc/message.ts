// A message, request or call of the peer, from its arrival to its answer.

import { isSealwireError, SealwireError } from "../base/errors.ts";
import { copyOf } from "../core/bytes.ts";
import { now, runSoon } from "../core/eventLoop.ts";
import { viewBody } from "../protocol/bodies.ts";
import { type CallHead, checkPartNames, readHead } from "../protocol/head.ts";
import { copyHead, PreparedHead } from "../protocol/preparedHead.ts";
import type { CallParts } from "./callParts.ts";
import { NO_ITEMS } from "./incomingStream.ts";
import { Position } from "./line.ts";
import { MessageState } from "./messageState.ts";
import { refusedWrite } from "./outgoingStream.ts";
import type { Connection, Message } from "./peer.ts";
import { timers } from "./timers.ts";

/** The connection's side of its messages. */
export interface MessageOwner {
  readonly connection: Connection;
  /** Sends the answer; false when the connection is gone. Throws on a bad body. */
  reply(message: IncomingMessage, body: Uint8Array, head: CallHead | undefined): boolean;
  /** Ends the request with this error, as if its handler had thrown it. */
  failed(message: IncomingMessage, error: SealwireError): void;
  /** Tracks the message, so that a cancel or the end of the connection finds it. */
  track(message: IncomingMessage): void;
  /** The message is no longer tracked. */
  drop(message: IncomingMessage): void;
  /** No caller waits for the answer, and the handler is done: the request gets its one end. */
  endCancelled(message: IncomingMessage): void;
}

/** Where a message waits for its handler, and the credit that it holds. */
export class Waiting extends Position<IncomingMessage> {
  readonly cost: number;

  constructor(message: IncomingMessage, cost: number) {
    super(message);
    this.cost = cost;
  }
}

const NO_HEAD: CallHead = {};

const { answered, finished, tracked, running, answerWaits } = MessageState;

/** What few messages have. */
class Details {
  head: CallHead | undefined = undefined;
  cancelled: SealwireError | undefined = undefined;
  abort: AbortController | undefined = undefined;
}

export class IncomingMessage implements Message {
  readonly #owner: MessageOwner;
  /** The request's number; 0 for a one-way message. */
  readonly sequence: number;
  bytes: Uint8Array;
  start: number;
  readonly #call: CallParts | undefined;
  end: number;
  #body: Uint8Array | undefined = undefined;
  #state: number;
  #details: Details | undefined = undefined;
  /** Set when the message has waited for its handler. Only the waiting room changes it. */
  waiting: Waiting | undefined = undefined;

  /** The body is bytes [start, end); a view of it is made at first use. */
  constructor(
    owner: MessageOwner,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    call?: CallParts,
  ) {
    this.#owner = owner;
    this.sequence = sequence;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#call = call;
    this.#state = sequence === 0 ? answered : 0;
  }

  /** Whether one of these states of `MessageState` holds. */
  is(states: number): boolean {
    return (this.#state & states) !== 0;
  }

  begins(state: number): void {
    this.#state |= state;
  }

  ends(state: number): void {
    this.#state &= ~state;
  }

  get #changeable(): Details {
    this.#details ??= new Details();
    return this.#details;
  }

  /**
   * Turns this object into the next one-way message with a view as its body, which saves a new object. Only for
   * messages that no handler may keep: with `messageBodies: "view"` they end when the handler returns.
   */
  reuse(bytes: Uint8Array, start: number, end: number): void {
    this.#body = undefined;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.ends(finished);
  }

  /** The message has to wait: its body moves to memory of its own, and the old memory is wiped. */
  moveBody(): void {
    const { bytes, start, end } = this;
    this.reuse(copyOf(bytes, start, end), 0, end - start);
    bytes.fill(0, start, end);
  }

  /** No handler has seen the message or will see it. */
  wipe(): void {
    this.wipeBody();
    this.#call?.incoming?.forget();
  }

  /** No code was given the body, so a reader that reads it in place may wipe it. */
  get isUnread(): boolean {
    return this.#body === undefined;
  }

  /** No code uses the body any more. A handler that had a view of it may have transferred its memory away. */
  wipeBody(): void {
    if (this.bytes.length > 0) this.bytes.fill(0, this.start, this.end);
  }

  get body(): Uint8Array {
    if (this.#body === undefined) {
      const { bytes, start, end } = this;
      this.#body = end - start === bytes.length ? bytes : viewBody(bytes, start, end);
    }
    return this.#body;
  }

  get connection(): Connection {
    return this.#owner.connection;
  }

  get head(): CallHead {
    if (this.#call === undefined) return NO_HEAD;
    const details = this.#changeable;
    details.head ??= copyHead(this.#call.head.own);
    return details.head;
  }

  get remainingMs(): number | undefined {
    const deadlineAt = this.#call?.deadlineAt;
    return deadlineAt === undefined ? undefined : Math.max(deadlineAt - now(), 0);
  }

  get expectsReply(): boolean {
    return (this.#state & answered) === 0 && this.#details?.cancelled === undefined;
  }

  /** Why no caller waits any more; undefined while one waits. */
  get cancelReason(): SealwireError | undefined {
    return this.#details?.cancelled;
  }

  /** The call is unfinished, and its caller announced no chunks. */
  get streamsNothing(): boolean {
    return !this.answered && this.#call?.incoming === undefined;
  }

  /** The application has answered the message, or no answer is needed any more. */
  get answered(): boolean {
    return this.is(answered);
  }

  /** Code listens to the message's signal, or may. */
  get hasSignal(): boolean {
    return this.#details?.abort !== undefined;
  }

  /** The parts of a call that a request does not have. */
  get callParts(): CallParts | undefined {
    return this.#call;
  }

  get signal(): AbortSignal {
    const details = this.#changeable;
    if (details.abort === undefined) {
      details.abort = new AbortController();
      if (details.cancelled !== undefined) details.abort.abort(details.cancelled);
      else if (!this.is(finished) || !this.answered) this.#owner.track(this);
    }
    return details.abort.signal;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#call?.incoming?.[Symbol.asyncIterator]() ?? NO_ITEMS;
  }

  write(item: Uint8Array): Promise<void> {
    const outgoing = this.#call?.outgoing;
    if (outgoing === undefined) {
      const text = "only a call whose caller takes a stream can be streamed to";
      return refusedWrite(new SealwireError("ERR_UNSUPPORTED", text));
    }
    if (this.answered && this.cancelReason === undefined) {
      return refusedWrite(new SealwireError("ERR_ALREADY_ANSWERED", "the call was already answered"));
    }
    return outgoing.write(item);
  }

  reply(body: Uint8Array, head?: CallHead): boolean {
    if (this.sequence === 0) return false;
    // First, because the head's getters are code of the application, which may answer as well.
    let own = head;
    if (head !== undefined && !(head instanceof PreparedHead)) {
      checkPartNames(head);
      own = readHead(head);
    }
    // Before the rest, whatever was done before: nobody waits, and code of the application that is told so may answer.
    if (this.#details?.cancelled !== undefined) return false;
    if ((this.#state & answered) !== 0)
      throw new SealwireError("ERR_ALREADY_ANSWERED", "the request was already answered");
    if (own !== undefined && this.#call === undefined)
      return this.#notSent(new SealwireError("ERR_UNSUPPORTED", "only a call's answer has a head"));
    let sent: boolean;
    try {
      sent = this.#owner.reply(this, body, own);
    } catch (error) {
      return this.#notSent(error);
    }
    this.markAnswered();
    return sent;
  }

  /**
   * The peer decides what it takes, and once a handler has returned, nobody may catch what its later code throws. Then the
   * request ends with the error, behind this call, because `onHandlerError` is code of the application.
   */
  #notSent(error: unknown): false {
    if (!this.is(finished) || !isSealwireError(error) || error.code === "ERR_INVALID_ARGUMENT") throw error;
    runSoon(() => this.#owner.failed(this, error));
    return false;
  }

  /** No answer will follow. */
  markAnswered(): void {
    this.#state |= answered;
    if ((this.#state & tracked) !== 0) this.#dropIfDone();
  }

  /** The delayed answer has been sent. */
  answerLeft(): void {
    this.ends(answerWaits);
    this.#dropIfDone();
  }

  #dropIfDone(): void {
    if (this.is(tracked) && !this.is(running | answerWaits)) this.#owner.drop(this);
  }

  /** The handler is done. A request without an answer is tracked as long as its caller may cancel it. */
  finish(keepsUnanswered: boolean): void {
    // Nearly all one-way messages.
    if (this.#state === answered && this.#details === undefined) this.#state = answered | finished;
    else this.#finishOther(keepsUnanswered);
  }

  #finishOther(keepsUnanswered: boolean): void {
    this.#state = (this.#state | finished) & ~running;
    if (this.cancelReason !== undefined && !this.answered) this.#endCancelled();
    else if (this.expectsReply && (keepsUnanswered || this.hasSignal)) this.#owner.track(this);
    else this.#dropIfDone();
  }

  /** No caller waits any more. */
  cancel(reason: SealwireError): void {
    const details = this.#changeable;
    if (details.cancelled !== undefined) return;
    details.cancelled = reason;
    if (this.#call?.deadline !== undefined) timers.cancel(this.#call.deadline);
    this.#call?.incoming?.fail(reason);
    this.#call?.outgoing?.fail(reason);
    if (this.is(finished) && !this.answered) this.#endCancelled();
    details.abort?.abort(reason);
  }

  #endCancelled(): void {
    this.begins(answered);
    if (this.is(tracked)) this.#owner.drop(this);
    this.#owner.endCancelled(this);
  }
}
