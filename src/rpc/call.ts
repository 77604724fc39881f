// The caller's side of a call: a request with a head, and with a stream in each direction.

import { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { now, runSoon } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import type { CallHead } from "../protocol/head.ts";
import { copyHead, type SharedHead } from "../protocol/preparedHead.ts";
import { IncomingStream, NO_ITEMS } from "./incomingStream.ts";
import { OutgoingStream, refusedWrite } from "./outgoingStream.ts";
import type { Call, Connection } from "./peer.ts";
import { noAnswerWithin, PendingRequest, type RequestOwner } from "./pendingRequest.ts";
import { FIRST_STREAM_CREDIT } from "./sharedWindow.ts";
import type { Streams } from "./streams.ts";

/** Timers of the peer may fire early by this time. */
const EARLY_MS = 2;
/** How much two clocks may differ, as a fraction of the time. */
const CLOCK_DRIFT = 1e-4;

/** For the streams of a call: an item is at most as long as a frame, and so many bytes may wait for credit. */
export type CallLimits = Pick<ResolvedLimits, "maxFrameBytes" | "maxPendingBytes">;

/**
 * Reads the answer of a call in the memory where it arrived, within the turn of its arrival. It runs no code of the
 * application.
 */
export interface AnswerReader {
  /**
   * Returns the value that the call resolves with, or throws the error that it rejects with. Bytes [start, end) are
   * reused afterwards.
   */
  read(call: PendingCall, bytes: Uint8Array, start: number, end: number): unknown;
  /** The error that the call rejects with if there is no answer. */
  failed(error: SealwireError): SealwireError;
}

const nothing = (): void => {};

/** Both directions of a call's streams, on the caller's side. */
interface CallStreams {
  readonly all: Streams;
  readonly incoming: IncomingStream;
  readonly outgoing: OutgoingStream;
}

export class PendingCall extends PendingRequest implements Call {
  readonly #streams: CallStreams | undefined;
  /** The time at which the caller stops waiting, by the monotonic clock; infinite without a time-out. */
  readonly deadlineAt: number;
  /** The head of the answer; others may share it. */
  sharedAnswerHead: SharedHead | undefined = undefined;
  connection: Connection | undefined = undefined;
  #answer: Promise<Uint8Array> | undefined = undefined;
  #reader: AnswerReader | undefined = undefined;
  /** A subscriber of a diagnostics channel is told of the answer, too. */
  isTraced = false;

  /** `streams`: undefined for a call without any. */
  constructor(table: RequestOwner, streams: Streams | undefined, timeoutMs: number, limits: CallLimits) {
    super(table, undefined, timeoutMs);
    this.deadlineAt = timeoutMs > 0 ? now() + timeoutMs : Number.POSITIVE_INFINITY;
    this.#streams = streams === undefined ? undefined : callStreams(this, streams, limits);
    // The iterator reports a failure as well, so the promise alone must not be an unhandled rejection.
    if (streams !== undefined) this.settling.catch(nothing);
  }

  /** Its answer may have a head or a reader, so it is no plain reply. */
  override get takesReply(): boolean {
    return false;
  }

  override started(): void {
    if (this.#streams === undefined) return;
    const { all, incoming, outgoing } = this.#streams;
    all.add(this.sequence, { incoming, outgoing });
    incoming.started();
    outgoing.started();
  }

  get answerHead(): CallHead | undefined {
    return this.sharedAnswerHead === undefined ? undefined : copyHead(this.sharedAnswerHead.own);
  }

  get answer(): Promise<Uint8Array> {
    if (this.#streams === undefined) {
      this.#answer = this.settling;
    } else if (this.#answer === undefined) {
      const { incoming } = this.#streams;
      this.#answer = this.settling;
      // If the caller has not begun to iterate by the next turn, it wants only the answer, and the items are discarded.
      runSoon(() => {
        if (!incoming.taken) incoming.discard();
      });
    }
    return this.#answer;
  }

  /** An answer in the middle of an item is invalid: the rest of the item is lost. */
  override resolve(body: Uint8Array): void {
    if (!this.settled && this.#streams?.incoming.insideItem) {
      wipe(body);
      this.reject(new SealwireError("ERR_PROTOCOL", "the call was answered inside of an item"));
    } else super.resolve(body);
  }

  /**
   * From now on `settling` is a promise of the value that `reader` returns. Returns false and changes nothing if the
   * call has settled already, has streams, or is traced.
   */
  readWith(reader: AnswerReader): boolean {
    if (this.settled || this.isTraced || this.#streams !== undefined) return false;
    this.#reader = reader;
    return true;
  }

  /** Whether a reader reads the answer in place. */
  get hasReader(): boolean {
    return this.#reader !== undefined;
  }

  /** The answer has arrived for the reader; its memory is valid for this turn only. */
  read(bytes: Uint8Array, start: number, end: number): void {
    let value: unknown;
    try {
      value = this.#reader!.read(this, bytes, start, end);
    } catch (error) {
      super.reject(error as SealwireError);
      return;
    }
    this.resolve(value as Uint8Array);
  }

  override reject(error: SealwireError): void {
    const told = this.#isTimedOut(error) ? this.#timedOut(error) : error;
    // Whatever the peer says: an item of it has come, so its handler has begun, and the call must not begin elsewhere.
    const final = told.notBegun && this.#streams?.incoming.hasBegun ? mayHaveRun(told) : told;
    // Nobody has asked for the answer, so nobody handles its rejection, which would end the process.
    if (this.#answer === undefined && this.#reader === undefined) this.settling.catch(nothing);
    super.reject(this.#reader === undefined ? final : this.#reader.failed(final));
  }

  /**
   * The peer reports that the deadline has passed. It really has: this side's timer was only a little later than the
   * peer's.
   */
  #isTimedOut({ code, remoteCode }: SealwireError): boolean {
    if (code !== "ERR_REMOTE" || remoteCode !== "ERR_REQUEST_TIMEOUT") return false;
    return now() >= this.deadlineAt - EARLY_MS - this.timeoutMs * CLOCK_DRIFT;
  }

  #timedOut(cause: SealwireError): SealwireError {
    const { notBegun } = cause;
    return new SealwireError("ERR_REQUEST_TIMEOUT", noAnswerWithin(this.timeoutMs), { cause, notBegun });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#streams?.incoming[Symbol.asyncIterator]() ?? NO_ITEMS;
  }

  write(item: Uint8Array): Promise<void> {
    return this.#streams?.outgoing.write(item) ?? refusedWrite(withoutStreams());
  }

  end(): void {
    this.#streams?.outgoing.end();
  }

  protected override ended(error: SealwireError | undefined): void {
    if (this.#streams === undefined) return;
    const { all, incoming, outgoing } = this.#streams;
    outgoing.fail(error ?? new SealwireError("ERR_STREAM_STOPPED", "the call was answered"));
    incoming.answered(error);
    all.remove(this.sequence);
  }
}

/** Apart from the constructor, where the captured variable would cost every call an allocation. */
function callStreams(call: PendingCall, all: Streams, limits: CallLimits): CallStreams {
  const sequence = (): number => call.sequence;
  return {
    all,
    incoming: new IncomingStream(all, sequence, limits.maxFrameBytes),
    outgoing: new OutgoingStream(all, sequence, FIRST_STREAM_CREDIT, limits.maxPendingBytes),
  };
}

/** The same error of a call that has begun. */
function mayHaveRun({ code, message, cause, remoteCode, data }: SealwireError): SealwireError {
  return new SealwireError(code, message, { cause, remoteCode, data });
}

function withoutStreams(): SealwireError {
  return new SealwireError("ERR_UNSUPPORTED", "the call was made without streams");
}
