// The caller's side of a call: a request with a head, and with a stream in each direction.

import { SealwireError } from "../base/errors.ts";
import { now, runSoon } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import type { CallHead } from "../protocol/head.ts";
import { copyHead, type SharedHead } from "../protocol/preparedHead.ts";
import { IncomingStream, NO_ITEMS } from "./incomingStream.ts";
import { OutgoingStream } from "./outgoingStream.ts";
import type { Call, Connection } from "./peer.ts";
import { noAnswerWithin, PendingRequest, type RequestTable } from "./requests.ts";
import { FIRST_STREAM_CREDIT } from "./sharedWindow.ts";
import type { Streams } from "./streams.ts";

/** Timers of the peer may fire so early. */
const EARLY_MS = 2;
/** How much two clocks may differ, as a part of the time. */
const CLOCK_DRIFT = 1e-4;

export interface CallLimits {
  /** The longest item that this side puts together. */
  readonly maxItemBytes: number;
  /** Bytes of one stream that may wait for credit. */
  readonly maxPendingBytes: number;
}

/**
 * Reads the answer of a call in the memory in which it arrives, in the turn in which it does. It runs no code of the
 * application.
 */
export interface AnswerReader {
  /** What the call resolves with. Throws what it rejects with. Bytes [start, end) are used otherwise afterwards. */
  read(call: PendingCall, bytes: Uint8Array, start: number, end: number): unknown;
  /** What the call rejects with where there is no answer. */
  failed(error: SealwireError): SealwireError;
}

/** Both directions of a call's streams, as its caller has them. */
interface CallStreams {
  readonly all: Streams;
  readonly incoming: IncomingStream;
  readonly outgoing: OutgoingStream;
}

export class PendingCall extends PendingRequest implements Call {
  readonly #streams: CallStreams | undefined;
  /** When the caller stops waiting, by the monotonic clock; infinite without a time-out. */
  readonly deadlineAt: number;
  /** What the answer said beside its body; others may share it. */
  sharedAnswerHead: SharedHead | undefined = undefined;
  connection: Connection | undefined = undefined;
  #answer: Promise<Uint8Array> | undefined = undefined;
  #reader: AnswerReader | undefined = undefined;
  /** Somebody beside the caller is told of its answer. */
  isTraced = false;

  /** `streams`: undefined for a call without any. */
  constructor(table: RequestTable, streams: Streams | undefined, timeoutMs: number, limits: CallLimits) {
    super(table, undefined, timeoutMs);
    this.deadlineAt = timeoutMs > 0 ? now() + timeoutMs : Number.POSITIVE_INFINITY;
    if (streams === undefined) {
      this.#streams = undefined;
      return;
    }
    const sequence = (): number => this.sequence;
    this.#streams = {
      all: streams,
      incoming: new IncomingStream(streams, sequence, limits.maxItemBytes),
      outgoing: new OutgoingStream(streams, sequence, FIRST_STREAM_CREDIT, limits.maxPendingBytes),
    };
    // Whoever iterates is told of a failure there: the promise alone is not an unhandled rejection.
    this.settling.catch(() => {});
  }

  /** It was numbered, and its record is being sent: chunks may follow. */
  started(): void {
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
    if (this.#streams === undefined) return this.settling;
    if (this.#answer === undefined) {
      const { incoming } = this.#streams;
      this.#answer = this.settling;
      // Whoever only waits for the answer wants none of the items; whoever iterates has begun by the next turn.
      runSoon(() => {
        if (!incoming.taken) incoming.discard();
      });
    }
    return this.#answer;
  }

  /** An answer inside of an item is none: what came of the item is lost. */
  override resolve(body: Uint8Array): void {
    if (!this.settled && this.#streams?.incoming.insideItem) {
      wipe(body);
      this.reject(new SealwireError("ERR_PROTOCOL", "the call was answered inside of an item"));
    } else super.resolve(body);
  }

  /**
   * From here on `settling` is a promise of what `reader` makes of the answer. False where the call has settled already,
   * has streams, or is traced: nothing is changed then.
   */
  readWith(reader: AnswerReader): boolean {
    if (this.settled || this.isTraced || this.#streams !== undefined) return false;
    this.#reader = reader;
    return true;
  }

  /** Whether somebody reads the answer where it lies. */
  get hasReader(): boolean {
    return this.#reader !== undefined;
  }

  /** Its answer has arrived, for the reader, and lies there for this turn only. */
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
    const final = this.#isTimedOut(error) ? this.#timedOut(error) : error;
    super.reject(this.#reader === undefined ? final : this.#reader.failed(final));
  }

  /** The peer says that the deadline has passed, and so it has: this side's timer was only a little later than the peer's. */
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
    return this.#streams?.outgoing.write(item) ?? Promise.reject(withoutStreams());
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

function withoutStreams(): SealwireError {
  return new SealwireError("ERR_UNSUPPORTED", "the call was made without streams");
}
