// A call as its caller has it: a request with a head, and with streams both ways.

import { SealwireError } from "../base/errors.ts";
import { now, runSoon } from "../core/eventLoop.ts";
import type { Head } from "../protocol/head.ts";
import { FIRST_STREAM_CREDIT, IncomingStream } from "./incomingStream.ts";
import { OutgoingStream } from "./outgoingStream.ts";
import type { Call } from "./peer.ts";
import { PendingRequest, type RequestTable } from "./requests.ts";
import type { Streams } from "./streams.ts";

export interface CallLimits {
  /** The longest item that this side puts together. */
  readonly maxItemBytes: number;
  /** Bytes of one stream that may wait for credit. */
  readonly maxPendingBytes: number;
}

export class PendingCall extends PendingRequest implements Call {
  readonly #streams: Streams;
  readonly #incoming: IncomingStream;
  readonly #outgoing: OutgoingStream;
  /** When the caller stops waiting, by the monotonic clock; infinite without a time-out. */
  readonly deadlineAt: number;
  /** What the answer said beside its body. */
  answerHead: Head | undefined = undefined;
  #answer: Promise<Uint8Array> | undefined;

  constructor(table: RequestTable, streams: Streams, timeoutMs: number, limits: CallLimits) {
    super(table, undefined, timeoutMs);
    this.deadlineAt = timeoutMs > 0 ? now() + timeoutMs : Number.POSITIVE_INFINITY;
    this.#streams = streams;
    const sequence = (): number => this.sequence;
    this.#incoming = new IncomingStream(streams, sequence, limits.maxItemBytes);
    this.#outgoing = new OutgoingStream(streams, sequence, FIRST_STREAM_CREDIT, limits.maxPendingBytes);
    // Whoever iterates is told of a failure there: the promise alone is not an unhandled rejection.
    this.settling.catch(() => {});
  }

  /** It was numbered, and its record is being sent: chunks may follow. */
  started(): void {
    this.#streams.add(this.sequence, { incoming: this.#incoming, outgoing: this.#outgoing });
    this.#incoming.started();
    this.#outgoing.started();
  }

  get answer(): Promise<Uint8Array> {
    if (this.#answer === undefined) {
      this.#answer = this.settling;
      // Whoever only waits for the answer wants none of the items; whoever iterates has begun by the next turn.
      runSoon(() => {
        if (!this.#incoming.taken) this.#incoming.discard();
      });
    }
    return this.#answer;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#incoming[Symbol.asyncIterator]();
  }

  write(item: Uint8Array): Promise<void> {
    return this.#outgoing.write(item);
  }

  end(): void {
    this.#outgoing.end();
  }

  protected override ended(error: SealwireError | undefined): void {
    this.#outgoing.fail(error ?? new SealwireError("ERR_STREAM_STOPPED", "the call was answered"));
    this.#incoming.answered(error);
    this.#streams.remove(this.sequence);
  }
}
