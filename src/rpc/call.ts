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

  override reject(error: SealwireError): void {
    super.reject(this.#isTimedOut(error) ? this.#timedOut(error) : error);
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
