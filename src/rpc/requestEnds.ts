// Ends each request of the peer once: with a reply, an answer or an error. After the end is sent, the request no longer
// counts, and its number may be used again.

import { SealwireError } from "../base/errors.ts";
import { copyOf } from "../core/bytes.ts";
import { wipe } from "../core/wipe.ts";
import { Origin } from "../protocol/errorBody.ts";
import type { CallHead } from "../protocol/head.ts";
import { Kind } from "../protocol/wire.ts";
import type { CallParts } from "./callParts.ts";
import type { Handlers } from "./handlers.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { IncomingMessage, MessageOwner } from "./message.ts";
import { MessageState } from "./messageState.ts";
import type { Outbox } from "./outbox.ts";
import type { Connection } from "./peer.ts";
import { timers } from "./timers.ts";

/** The parts of the connection that the peer's requests concern. */
export interface RequestPeers {
  readonly connection: Connection;
  readonly lifecycle: Lifecycle;
  readonly outbox: Outbox;
}

export interface RequestEndsEvents {
  /** A handler is done, or a waiting request is gone: there may be room, or no call is left in flight. */
  onSettled(): void;
  /** A message is no longer tracked: there may be room. May be called inside a call of the application. */
  onRoom(): void;
}

export class RequestEnds implements MessageOwner {
  readonly #speaksV2: boolean;
  readonly connection: Connection;
  readonly #lifecycle: Lifecycle;
  readonly #outbox: Outbox;
  readonly #handlers: Handlers;
  readonly #events: RequestEndsEvents;
  /** Unfinished requests of the peer, as the peer counts them. */
  unfinished = 0;
  /** Unfinished calls of the peer with streams. */
  openStreams = 0;
  /** Answers that wait behind unsent items. */
  waiting = 0;

  constructor(speaksV2: boolean, peers: RequestPeers, handlers: Handlers, events: RequestEndsEvents) {
    this.#speaksV2 = speaksV2;
    this.connection = peers.connection;
    this.#lifecycle = peers.lifecycle;
    this.#outbox = peers.outbox;
    this.#handlers = handlers;
    this.#events = events;
  }

  /** A call with streams has arrived. */
  openCall(sequence: number, parts: CallParts): void {
    this.openStreams++;
    parts.hasStreams = true;
    this.#outbox.streams.add(sequence, { incoming: parts.incoming, outgoing: parts.outgoing });
  }

  withError(
    message: IncomingMessage,
    origin: Origin,
    code: string,
    text: string,
    data: Uint8Array | undefined,
  ): void {
    if (message.answered || !this.#lifecycle.maySend) return;
    message.callParts?.outgoing?.fail(answeredWithError);
    // Protocol v1 has no record for it: its caller gets no answer, and the request is over all the same.
    if (this.#outbox.controls.error(message.sequence, origin, code, text, data) || !this.#speaksV2) {
      message.markAnswered();
      this.#ended(message);
    }
  }

  /** The request's end is sent: its streams are over, and its number is free. */
  #ended(message: IncomingMessage): void {
    this.unfinished--;
    this.#closeCall(message);
  }

  /** A call has ended: its streams are over. */
  #closeCall(message: IncomingMessage): void {
    const parts = message.callParts;
    if (parts === undefined) return;
    if (parts.deadline !== undefined) timers.cancel(parts.deadline);
    if (!parts.hasStreams) return;
    parts.hasStreams = false;
    this.openStreams--;
    parts.incoming?.close();
    // Unsent items are left only if the connection no longer takes an answer.
    parts.outgoing?.fail(answered);
    this.#outbox.streams.remove(message.sequence);
  }

  // ---- MessageOwner -------------------------------------------------------------------------------------

  reply(message: IncomingMessage, body: Uint8Array, head: CallHead | undefined): boolean {
    const outbox = this.#outbox;
    outbox.bodies.check(body);
    const outgoing = message.callParts?.outgoing;
    const isSentNow = outgoing === undefined || outgoing.isEmpty;
    const answer = head === undefined ? body : outbox.bodies.withHead(body, head, 0, isSentNow);
    const kind = head === undefined ? Kind.reply : Kind.answer;
    if (!this.#lifecycle.maySend) {
      if (answer !== body) wipe(answer);
      this.#closeCall(message);
      return false;
    }
    const { sequence } = message;
    if (isSentNow) {
      outbox.sender.append(sequence, kind, answer);
      if (answer !== body) wipe(answer);
      this.#ended(message);
      return true;
    }
    // Items that were written before leave before the answer. Until then the request is unfinished, and a cancel finds
    // it.
    const copy = answer === body ? copyOf(body) : answer;
    this.#handlers.track(message);
    message.begins(MessageState.answerWaits);
    this.waiting++;
    outbox.sender.hold(copy.length);
    outgoing.whenEmpty(() => {
      this.waiting--;
      outbox.sender.hold(-copy.length);
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

  failed(message: IncomingMessage, error: SealwireError): void {
    this.#handlers.failed(error, message);
  }

  track(message: IncomingMessage): void {
    if (this.#lifecycle.isOver) {
      message.cancel(new SealwireError("ERR_CONNECTION_LOST", "the connection is gone"));
      return;
    }
    this.#handlers.track(message);
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

function answered(): SealwireError {
  return new SealwireError("ERR_ALREADY_ANSWERED", "the call was already answered");
}

function answeredWithError(): SealwireError {
  return new SealwireError("ERR_ALREADY_ANSWERED", "the call was answered with an error");
}
