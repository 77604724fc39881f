// Runs the application's handlers of one connection; no other code calls them. It knows which handlers run, aborts
// their signals when their callers have given up, and reports their errors.

import { SealwireError } from "../base/errors.ts";
import { isThenable } from "../base/thenable.ts";
import type { HandlerBudget } from "./handlerBudget.ts";
import { describeForPeer, type ErrorExposure } from "./handlerErrors.ts";
import { callListener } from "./listeners.ts";
import type { IncomingMessage } from "./message.ts";
import { MessageState } from "./messageState.ts";
import type { Message, MessageHandler } from "./peer.ts";

export interface HandlersOptions extends ErrorExposure {
  readonly onMessage: MessageHandler | undefined;
  readonly onHandlerError: (error: unknown, message: Message) => void;
  /** Handlers of all connections of the client or server. */
  readonly handlerBudget: HandlerBudget;
}

export interface HandlersEvents {
  /** A request's handler failed; the caller gets this code and text. */
  onFailure(message: IncomingMessage, code: string, text: string, data: Uint8Array | undefined): void;
  /** A handler is done: there may be room, or no call is left in flight. */
  onDone(): void;
}

const { then } = Promise.prototype;

/**
 * Treats a result as `await` does: exactly one of the two functions is called, once, whatever the application's `then`
 * does.
 */
function whenSettled(result: unknown, done: () => void, failed: (error: unknown) => void): void {
  try {
    if (result instanceof Promise) {
      then.call(result, done, failed);
      return;
    }
  } catch {
    // The result is of a subclass whose constructor fails for the promise of `then`, or a proxy without a prototype.
  }
  then.call(new Promise((resolve) => resolve(result)), done, failed);
}

export class Handlers {
  readonly #options: HandlersOptions;
  readonly #events: HandlersEvents;
  /** Requests without an answer are tracked (protocol v2), so that each gets its one end. */
  readonly #keepsUnanswered: boolean;
  /** Handlers that returned a promise which has not settled. */
  #running = 0;
  /** Messages that a cancel or the end of the connection must reach: requests by number, and the others. */
  readonly #requests = new Map<number, IncomingMessage>();
  readonly #others = new Set<IncomingMessage>();
  /** Why the connection is over. */
  #ended: SealwireError | undefined;

  constructor(options: HandlersOptions, keepsUnanswered: boolean, events: HandlersEvents) {
    this.#options = options;
    this.#keepsUnanswered = keepsUnanswered;
    this.#events = events;
  }

  get running(): number {
    return this.#running;
  }

  /** Messages that a cancel or the end of the connection finds. */
  get tracked(): number {
    return this.#requests.size + this.#others.size;
  }

  request(sequence: number): IncomingMessage | undefined {
    return this.#requests.get(sequence);
  }

  /** The number of a request without an answer can't be used again. */
  checkNumber(sequence: number): void {
    const earlier = this.#requests.get(sequence);
    if (earlier === undefined) return;
    if (!earlier.answered || earlier.is(MessageState.answerWaits)) {
      throw new SealwireError("ERR_PROTOCOL", "a request with the number of one that is running");
    }
    // The handler continues after the answer. The number is free, and the handler still learns of the connection's end.
    this.#requests.delete(sequence);
    this.#others.add(earlier);
  }

  /** Calls the handler. Returns whether no code can reference the message any more. */
  run(message: IncomingMessage): boolean {
    let result: unknown;
    let goesOn: boolean;
    try {
      result = this.#options.onMessage!(message);
      goesOn = isThenable(result);
    } catch (error) {
      this.failed(error, message);
      message.finish(this.#keepsUnanswered);
      return false;
    }
    if (!goesOn) {
      message.finish(this.#keepsUnanswered);
      return !message.hasSignal;
    }
    this.#goOn(message, result);
    return false;
  }

  /** Apart from `run`: variables that a closure captures cost an allocation at each call of their function. */
  #goOn(message: IncomingMessage, result: unknown): void {
    this.#running++;
    this.#options.handlerBudget.begin();
    message.begins(MessageState.running);
    this.track(message);
    whenSettled(
      result,
      () => this.#done(message),
      (error) => {
        this.failed(error, message);
        this.#done(message);
      },
    );
  }

  track(message: IncomingMessage): void {
    if (message.is(MessageState.tracked)) return;
    // The connection ended while the handler was on the stack.
    if (this.#ended !== undefined) return message.cancel(this.#ended);
    message.begins(MessageState.tracked);
    if (message.sequence === 0) this.#others.add(message);
    else this.#requests.set(message.sequence, message);
  }

  drop(message: IncomingMessage): void {
    message.ends(MessageState.tracked);
    if (this.#requests.get(message.sequence) === message) this.#requests.delete(message.sequence);
    else this.#others.delete(message);
  }

  /** The connection is over: the signals of all running handlers abort. */
  end(reason: SealwireError): void {
    this.#ended ??= reason;
    const tracked = [...this.#requests.values(), ...this.#others];
    this.#requests.clear();
    this.#others.clear();
    for (const message of tracked) {
      message.ends(MessageState.tracked);
      message.cancel(reason);
    }
  }

  #done(message: IncomingMessage): void {
    this.#running--;
    message.finish(this.#keepsUnanswered);
    this.#options.handlerBudget.end();
    this.#events.onDone();
  }

  /** The request ends with the error, unless it was answered, and `onHandlerError` is told. */
  failed(error: unknown, message: IncomingMessage): void {
    if (!message.answered) {
      const { code, text, data } = describeForPeer(error, this.#options);
      this.#events.onFailure(message, code, text, data);
    }
    // A handler that rethrows its cancellation has nothing to report.
    if (error === message.cancelReason && error !== undefined) return;
    callListener("onHandlerError", this.#options.onHandlerError, error, message);
  }
}
