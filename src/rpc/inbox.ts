// Dispatches the records of an established connection by their kind. Messages, requests and calls of protocol v2 were
// paid for with credit. They begin when there is room among the handlers, and wait until then. Every other record frees
// something, so it is handled at once, whatever waits.

import { SealwireError } from "../base/errors.ts";
import { viewOf } from "../core/bytes.ts";
import type { RecordHandler } from "../protocol/backlog.ts";
import { alignOwn, keepBody, wipeBefore } from "../protocol/bodies.ts";
import { creditIn } from "../protocol/credit.ts";
import { decodeError, Origin } from "../protocol/errorBody.ts";
import type { Role } from "../protocol/handshake.ts";
import { HeadReader } from "../protocol/preparedHead.ts";
import { checkReason, decodeReason, type Reason } from "../protocol/reason.ts";
import { decodeSettings, type Settings } from "../protocol/settings.ts";
import { FIRST_RESERVED_KIND, Kind, LAST_RESERVED_KIND, RECORD_FRONT_BYTES } from "../protocol/wire.ts";
import type { Arrivals } from "./arrivals.ts";
import { PendingCall } from "./call.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Outbox } from "./outbox.ts";
import type { PendingRequest } from "./pendingRequest.ts";
import { Pongs } from "./pongs.ts";
import { fillBuffer, takeReplies } from "./replies.ts";
import type { RequestTable } from "./requests.ts";
import type { StreamReceiver } from "./streams.ts";

/** The rest of the connection, as far as what arrives concerns it. */
export interface InboxPeers {
  readonly lifecycle: Lifecycle;
  readonly requests: RequestTable;
  readonly outbox: Outbox;
  readonly arrivals: Arrivals;
}

export interface InboxEvents {
  /** The peer's first frame opened and was valid. `settings`: protocol v2. */
  onProven(settings: Settings | undefined): void;
  /** The peer announced a drain or a close. */
  onDrainHeard(reason: Reason): void;
  onCloseHeard(reason: Reason): void;
  /** A request of this side has ended. */
  onAnswered(): void;
}

export class Inbox implements RecordHandler {
  readonly #events: InboxEvents;
  readonly #lifecycle: Lifecycle;
  readonly #requests: RequestTable;
  readonly #outbox: Outbox;
  readonly #arrivals: Arrivals;
  /** Protocol v2. */
  readonly #speaksV2: boolean;
  /** Parity of the numbers of this side's requests. */
  readonly #ownParity: number;
  readonly #pongs: Pongs;
  readonly #heads = new HeadReader();
  #settingsSeen = false;
  /** Records wait until the application has confirmed the peer. */
  held = false;
  droppedReplies = 0;
  /** Records of reserved kinds, and records for objects that have ended. */
  ignoredRecords = 0;
  /** A request of this side was answered, be it with an error. */
  answered = false;

  constructor(role: Role, speaksV2: boolean, peers: InboxPeers, events: InboxEvents) {
    this.#ownParity = role === "client" ? 1 : 0;
    this.#speaksV2 = speaksV2;
    this.#events = events;
    this.#lifecycle = peers.lifecycle;
    this.#requests = peers.requests;
    this.#outbox = peers.outbox;
    this.#arrivals = peers.arrivals;
    this.#pongs = new Pongs(peers.lifecycle, peers.outbox);
  }

  /** Protocol v2 takes every record within its turn: messages that wait for handlers wait behind the inbox. */
  get ready(): boolean {
    if (this.held) return false;
    return this.#speaksV2 ? !this.#arrivals.clock.isOver : this.#arrivals.ready;
  }

  get stopped(): boolean {
    return this.#lifecycle.isOver;
  }

  proven(): void {
    if (!this.#speaksV2) this.#events.onProven(undefined);
  }

  run(bytes: Uint8Array, start: number, end: number, more: number): number {
    if (this.#lifecycle.peerClosed || end - start < RECORD_FRONT_BYTES) return start;
    if (bytes[start + RECORD_FRONT_BYTES - 1] !== Kind.reply)
      return this.#arrivals.runs.take(bytes, start, end, more);
    const rest = takeReplies(this.#requests, bytes, start, end, more);
    if (rest > start) {
      this.answered = true;
      this.#events.onAnswered();
    }
    return rest;
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
    if (this.#speaksV2 && !this.#settingsSeen) return this.#takeSettings(sequence, kind, bytes, start, end);
    if (kind === Kind.message) this.#arrivals.message(sequence, bytes, start, end, lent, more);
    else this.#takeOther(sequence, kind, bytes, start, end, lent, more);
  }

  #takeSettings(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    if (kind !== Kind.settings || sequence !== 0) {
      throw new SealwireError("ERR_PROTOCOL", "the first frame has no settings");
    }
    this.#settingsSeen = true;
    this.#events.onProven(decodeSettings(bytes, start, end));
  }

  #takeOther(
    sequence: number,
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    if (kind === Kind.reply) return this.#takeReply(sequence, bytes, start, end, lent, more);
    if (!this.#speaksV2) throw unknownKind(kind);
    if (kind === Kind.call) return this.#arrivals.call(sequence, bytes, start, end, lent, more);
    this.#arrivals.clock.count();
    switch (kind) {
      case Kind.answer:
        this.#takeAnswer(sequence, bytes, start, end, lent, more);
        return;
      case Kind.error:
        this.#takeError(sequence, viewOf(bytes, start, end));
        return;
      case Kind.cancel:
        // The reason is of no use to the handler, but a malformed one is an error.
        if (end > start) checkReason(bytes, start, end);
        this.#arrivals.cancel(sequence);
        return;
      case Kind.ping:
        this.#pongs.ping(sequence);
        return;
      case Kind.pong:
        return;
      case Kind.drain:
        this.#events.onDrainHeard(decodeReason(bytes, start, end));
        return;
      case Kind.close:
        this.#events.onCloseHeard(decodeReason(bytes, start, end));
        return;
      case Kind.chunk:
      case Kind.end:
      case Kind.stop:
      case Kind.credit:
      case Kind.blocked:
        this.#takeOfStream(sequence, kind, bytes, start, end);
        return;
      default:
        if (kind < FIRST_RESERVED_KIND || kind > LAST_RESERVED_KIND) throw unknownKind(kind);
        this.ignoredRecords++;
    }
  }

  // ---- Answers ------------------------------------------------------------------------------------------

  #takeReply(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    const request = this.#takeRequest(sequence);
    const isRead = request instanceof PendingCall && request.hasReader;
    if (request !== undefined && request.into === undefined && !isRead) {
      const at = lent ? start : alignOwn(bytes, start, end);
      request.resolve(lent ? keepBody(bytes, start, end, more) : viewOf(bytes, at, at + end - start));
    } else {
      if (isRead) request.read(bytes, start, end);
      else if (request !== undefined) fillBuffer(request, bytes, start, end);
      // The memory was for the caller, who does not get it.
      if (!lent) wipeBefore(bytes, end);
    }
    if (request !== undefined) this.#events.onAnswered();
  }

  #takeAnswer(
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    lent: boolean,
    more: number,
  ): void {
    const head = this.#heads.read(bytes, start, end);
    if (head.fault !== undefined) {
      this.#takeRequest(sequence)?.reject(head.fault);
      this.#events.onAnswered();
      return;
    }
    const request = this.#requests.find(sequence);
    if (request instanceof PendingCall) request.sharedAnswerHead = head;
    this.#takeReply(sequence, bytes, this.#heads.bodyStart, end, lent, more);
  }

  #takeError(sequence: number, body: Uint8Array): void {
    // The end that the peer's library sends for an aborted request is no late answer.
    this.#takeRequest(sequence, body[0] === Origin.handler)?.reject(decodeError(body));
    this.#events.onAnswered();
  }

  /** The request that ends here, if its caller still waits. */
  #takeRequest(sequence: number, isAnswer = true): PendingRequest | undefined {
    const mine = (sequence & 1) === this.#ownParity && sequence !== 0;
    const request = mine ? this.#requests.take(sequence) : undefined;
    if (request === undefined) {
      // Protocol v2 keeps a request's number until its end, even if the caller gave up. So this is a second end.
      if (this.#speaksV2) throw new SealwireError("ERR_PROTOCOL", "an end of a request that waits for none");
      this.droppedReplies++;
      return undefined;
    }
    if (request.settled) {
      if (isAnswer) this.droppedReplies++;
      this.#events.onAnswered();
      return undefined;
    }
    this.answered = true;
    return request;
  }

  // ---- Streams and credit -------------------------------------------------------------------------------

  #takeOfStream(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    if (sequence === 0) {
      if (kind === Kind.credit) this.#outbox.addCredit(creditIn(bytes, start, end));
      else if (kind === Kind.blocked) this.#arrivals.blocked();
      else throw new SealwireError("ERR_PROTOCOL", `kind ${kind} of no stream`);
      return;
    }
    const pair = this.#outbox.streams.get(sequence);
    if (pair === undefined) {
      this.#requireCrossed(sequence, kind);
      this.ignoredRecords++;
      return;
    }
    switch (kind) {
      case Kind.chunk:
        announced(pair.incoming).receive(bytes, start, end);
        return;
      case Kind.end:
        announced(pair.incoming).end();
        return;
      case Kind.stop:
        pair.outgoing?.stop();
        return;
      case Kind.credit:
        pair.outgoing?.addCredit(creditIn(bytes, start, end));
        return;
      default:
        pair.incoming?.blocked();
    }
  }

  /** A record for a request that is over is late, but no error. A record for one that never existed is an error. */
  #requireCrossed(sequence: number, kind: number): void {
    const mine = (sequence & 1) === this.#ownParity;
    const was = (mine ? this.#requests : this.#arrivals).numbers.has(sequence);
    if (!was) throw new SealwireError("ERR_PROTOCOL", "a record of a request that was never made");
    if (kind !== Kind.chunk && kind !== Kind.end) return;
    const request = mine ? this.#requests.find(sequence) : undefined;
    if (mine ? request?.settled === false : this.#arrivals.streamsNothing(sequence)) announced(undefined);
  }
}

/** The direction of a stream. The call's head must have announced it. */
function announced(incoming: StreamReceiver | undefined): StreamReceiver {
  if (incoming !== undefined) return incoming;
  throw new SealwireError("ERR_PROTOCOL", "chunks of a stream that was not announced");
}

function unknownKind(kind: number): SealwireError {
  return new SealwireError("ERR_PROTOCOL", `a frame of unknown kind ${kind}`);
}
