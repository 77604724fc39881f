// Closes a connection in good order, in both protocols: it takes no new calls, finishes those in flight, sends a close
// and ends its stream.

import { SealwireError } from "../base/errors.ts";
import type { Reason } from "../protocol/reason.ts";
import type { Arrivals } from "./arrivals.ts";
import { CallbackDeadline } from "./deadline.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Outbox } from "./outbox.ts";
import type { RequestTable } from "./requests.ts";
import { timers } from "./timers.ts";

export interface EndingParts {
  readonly lifecycle: Lifecycle;
  readonly requests: RequestTable;
  readonly outbox: Outbox;
  readonly arrivals: Arrivals;
  /** Records or bytes of the peer still wait, so the end of its stream is not reached yet. */
  readonly reading: "paused" | "insideFrame" | "betweenFrames";
}

export interface EndingEvents {
  /** This side makes no new calls from now on. */
  onDraining(): void;
  /** All bytes are written: the end of the stream may be sent. */
  onAllWritten(): void;
  /** The connection is over; `error` is undefined if it ended in good order. */
  onEnd(error: SealwireError | undefined): void;
  /** The peer's stream was cut. */
  onCut(text: string): void;
}

export class Ending {
  readonly #parts: EndingParts;
  readonly #events: EndingEvents;
  readonly #deadline: CallbackDeadline;
  readonly #drainTimeoutMs: number;
  readonly #saysClose: boolean;
  #drainSaid = false;
  /** What a drain says of the last request begun concerns nobody here any more. */
  #refusalsHeard = false;

  /** `saysClose`: the protocol has records for drain and close (v2). */
  constructor(parts: EndingParts, events: EndingEvents, drainTimeoutMs: number, saysClose: boolean) {
    this.#parts = parts;
    this.#events = events;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.#saysClose = saysClose;
    const text = `closed with calls in flight after ${drainTimeoutMs} ms`;
    this.#deadline = new CallbackDeadline(() => events.onEnd(new SealwireError("ERR_CLOSED", text)));
  }

  /**
   * `close` was called. Calls that were made before the connection was ready are in flight, too. So are bytes in the
   * kernel while the peer is not proven: if the socket closed now, the peer might not read them.
   */
  begin(): void {
    const { lifecycle, outbox } = this.#parts;
    if (lifecycle.closeWanted || lifecycle.isOver) return;
    lifecycle.wantClose();
    this.#armDeadline();
    if (lifecycle.isEstablished) this.drain();
    else if (!outbox.sender.bytes.anyGiven)
      this.#events.onEnd(new SealwireError("ERR_CLOSED", "closed by this side"));
  }

  /** This side makes no new calls, and finishes its calls in flight. Announced once. */
  drain(): void {
    const { lifecycle } = this.#parts;
    if (lifecycle.drain()) {
      this.#armDeadline();
      this.sayDrain();
      this.#events.onDraining();
    }
    this.finishIfIdle();
  }

  /** Announces the drain once all accepted calls have been sent. */
  sayDrain(): void {
    const { lifecycle, outbox } = this.#parts;
    if (this.#drainSaid || lifecycle.state !== "draining" || !outbox.nothingWaits) return;
    this.#drainSaid = true;
    outbox.controls.drain({});
    this.finishIfIdle();
  }

  drainHeard(reason: Reason): void {
    this.#parts.lifecycle.peerDrained();
    this.#rejectRefused(reason);
    this.drain();
  }

  closeHeard(reason: Reason): void {
    this.#parts.lifecycle.peerSaidClose();
    this.#rejectUnanswered(reason);
    this.drain();
    // The drain may wait behind requests that will not be sent any more.
    this.sayDrain();
  }

  /** Sends the close and ends the stream once nothing is in flight on this side. */
  finishIfIdle(): void {
    const { lifecycle, requests, arrivals, outbox } = this.#parts;
    if (!this.#drainSaid && lifecycle.state === "draining") return;
    if (requests.size > 0 || !arrivals.idle || !lifecycle.finish()) return;
    outbox.controls.close({ lastBegun: arrivals.lastBegun });
    outbox.sender.handedToKernel().then(
      () => {
        if (lifecycle.isOver) return;
        this.#events.onAllWritten();
        this.finishIfEnded();
      },
      () => {}, // the connection was lost meanwhile, which its callers learn otherwise
    );
  }

  /** The peer's stream has ended: the connection is over once all records before the end have been handled. */
  finishIfEnded(): void {
    const { lifecycle, outbox, reading } = this.#parts;
    if (!lifecycle.streamEnded || lifecycle.isOver || reading === "paused") return;
    if (reading === "insideFrame" || (this.#saysClose && !lifecycle.peerClosed)) {
      this.#events.onCut("the peer's stream was cut");
    } else if (lifecycle.state !== "closing") {
      // Protocol v1: the peer closes by the end of its stream.
      this.#rejectUnanswered({});
      this.drain();
    } else if (outbox.sender.pendingBytes === 0) {
      this.#events.onEnd(undefined);
    }
  }

  /** The connection is over. */
  stop(): void {
    timers.cancel(this.#deadline);
  }

  /**
   * The peer names its last request that will run. It will refuse all later ones, so their callers need not wait for
   * each refusal.
   */
  #rejectRefused({ lastBegun }: Reason): void {
    if (lastBegun === undefined || this.#refusalsHeard) return;
    const text = "the peer drains, and begins with no more requests";
    const error = new SealwireError("ERR_CONNECTION_LOST", text, { notBegun: true });
    const { requests } = this.#parts;
    const rejected = requests.rejectWhere(
      (sequence, isOld) => wasNotBegun(sequence, isOld, lastBegun),
      error,
    );
    // A look costs as much as there are requests, and a drain next to nothing: one that finds none is the last.
    if (rejected === 0) this.#refusalsHeard = true;
  }

  /** Requests after the last one that the peer began were not begun, and may go to another endpoint. */
  #rejectUnanswered({ code, text, lastBegun }: Reason): void {
    const { requests, outbox } = this.#parts;
    const said = code === undefined ? "" : `: ${code}${text === undefined ? "" : `, ${text}`}`;
    const errorFor = (notBegun: boolean) =>
      new SealwireError("ERR_CONNECTION_LOST", `the peer closed without answering${said}`, {
        remoteCode: code,
        notBegun,
      });
    outbox.closePaid(errorFor(true));
    requests.rejectAll((sequence, isOld) => errorFor(wasNotBegun(sequence, isOld, lastBegun)));
  }

  #armDeadline(): void {
    if (!this.#deadline.armed) timers.arm(this.#deadline, this.#drainTimeoutMs);
  }
}

/**
 * Whether the peer's last begun request shows that this one was not begun. 0: it began none. `isOld`: so many requests
 * came after this one that its number looks like one of those to come.
 */
function wasNotBegun(sequence: number, isOld: boolean, lastBegun: number | undefined): boolean {
  if (isOld) return false;
  return lastBegun !== undefined && (lastBegun === 0 || ((sequence - lastBegun) | 0) > 0);
}
