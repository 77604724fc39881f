// Makes the parts of one connection and wires them: an event of one part is a call of another. Events that concern the
// socket or the whole connection go to link.ts.

import type { Role } from "../protocol/handshake.ts";
import type { Session } from "../protocol/session.ts";
import { encodeSettings } from "../protocol/settings.ts";
import { Kind } from "../protocol/wire.ts";
import { Arrivals } from "./arrivals.ts";
import type { ConnectionContext } from "./context.ts";
import { Ending, type EndingEvents, type EndingParts } from "./ending.ts";
import { Inbox } from "./inbox.ts";
import { Intake } from "./intake.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Liveness } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import type { Connection } from "./peer.ts";
import { RequestTable } from "./requests.ts";
import type { Transport } from "./transport.ts";
import { Writer, type WriterEvents } from "./writer.ts";

export interface LinkPartsEvents extends WriterEvents, EndingEvents {
  /** Nothing arrived for too long. */
  onSilence(text: string): void;
  /** The peer's first record opened under the session's keys, which proves the peer (v2). */
  onProven(): void;
  /** The connection is over; `error` undefined: in good order. */
  onEnd(error: unknown): void;
}

export class LinkParts implements EndingParts {
  readonly #role: Role;
  readonly #speaksV2: boolean;
  readonly #context: ConnectionContext;
  readonly #events: LinkPartsEvents;
  readonly lifecycle: Lifecycle;
  readonly requests: RequestTable;
  readonly writer: Writer;
  readonly outbox: Outbox;
  readonly arrivals: Arrivals;
  readonly inbox: Inbox;
  readonly ending: Ending;
  readonly liveness: Liveness;
  /** The way in, once the keys are there. */
  intake: Intake | undefined;

  constructor(role: Role, context: ConnectionContext, connection: Connection, events: LinkPartsEvents) {
    const { limits, handshake } = context;
    this.#role = role;
    this.#speaksV2 = handshake.format.header === "kind";
    this.#context = context;
    this.#events = events;
    this.lifecycle = new Lifecycle(this.#speaksV2);
    const first = role === "client" ? 1 : 2;
    this.requests = new RequestTable(first, limits.maxInFlightRequests, this.#speaksV2, (sequence) =>
      this.#requestAbandoned(sequence),
    );
    this.writer = new Writer(limits.writeTimeoutMs, events);
    this.outbox = this.#makeOutbox();
    this.arrivals = this.#makeArrivals(connection);
    this.inbox = this.#makeInbox();
    this.ending = new Ending(this, events, limits.drainTimeoutMs, this.#speaksV2);
    this.liveness = this.#makeLiveness();
  }

  get reading(): EndingParts["reading"] {
    const { intake } = this;
    // Protocol v2 reads on whatever waits for handlers, so that the end of the peer's stream is heard at once.
    if (intake === undefined || intake.paused) return "paused";
    return intake.insideFrame ? "insideFrame" : "betweenFrames";
  }

  /** The keys are there: what the socket reads goes this way from now on. */
  makeIntake(session: Session, transport: Transport): void {
    const { inbox, arrivals, outbox, ending } = this;
    this.intake = new Intake(this.#role, this.#context, session, transport, inbox, arrivals, outbox, {
      onResumed: () => {
        ending.finishIfEnded();
        ending.finishIfIdle();
      },
      onFailure: (error) => this.#events.onEnd(error),
    });
  }

  /** The first record of protocol v2, behind which everything else leaves. */
  sendSettings(session: Session): void {
    const { maxFrameBytes, maxRequests, maxStreams, messageCreditBytes } = this.#context.limits;
    const body = encodeSettings({
      maxFrameBytes,
      maxRequests,
      maxStreams,
      messageCredit: messageCreditBytes,
    });
    this.arrivals.credit.settingsSent(messageCreditBytes);
    this.outbox.sender.start(session, { kind: Kind.settings, body });
  }

  #makeOutbox(): Outbox {
    const { limits, handshake, flushes, resumptions } = this.#context;
    return new Outbox(limits, handshake.format, this.lifecycle, this.requests, flushes, this.writer, {
      onNothingWaits: () => this.ending.sayDrain(),
      onRelief: () => {
        this.intake?.schedule();
        this.arrivals.credit.grant();
      },
      // What failed may run inside a call of the application, which must not find its connection closed under it.
      onFailure: (error) =>
        resumptions.add({
          endOfTurn: () => this.#events.onEnd(error),
          endOfTurnFailed: (other) => this.#events.onEnd(other),
        }),
    });
  }

  #makeArrivals(connection: Connection): Arrivals {
    const { limits } = this.#context;
    const options = { ...this.#context, ...limits, maxItemBytes: limits.maxFrameBytes };
    const { lifecycle, outbox } = this;
    return new Arrivals(
      this.#role,
      this.#speaksV2,
      options,
      { connection, lifecycle, outbox },
      {
        onSettled: () => {
          this.intake?.schedule();
          this.ending.finishIfIdle();
        },
        onRoom: () => this.intake?.schedule(),
      },
    );
  }

  #makeInbox(): Inbox {
    const { lifecycle, requests, outbox, arrivals } = this;
    return new Inbox(
      this.#role,
      this.#speaksV2,
      { lifecycle, requests, outbox, arrivals },
      {
        onProven: (settings) => {
          if (settings === undefined) return;
          outbox.applySettings(settings);
          this.#events.onProven();
        },
        onDrainHeard: (reason) => this.ending.drainHeard(reason),
        onCloseHeard: (reason) => this.ending.closeHeard(reason),
        onAnswered: () => {
          outbox.drainPaid();
          this.ending.finishIfIdle();
        },
      },
    );
  }

  #makeLiveness(): Liveness {
    const parts = this;
    const { lifecycle } = this;
    const { controls } = this.outbox;
    return new Liveness(this.#context.limits, {
      get readingPaused() {
        return parts.intake?.paused ?? false;
      },
      get writing() {
        return parts.writer.busy;
      },
      ping: () => lifecycle.maySend && controls.ping(),
      pong: () => lifecycle.maySend && controls.pong(0),
      onSilence: (text) => this.#events.onSilence(text),
    });
  }

  #requestAbandoned(sequence: number): void {
    if (this.lifecycle.isOver) return;
    // A request that was not sent has nothing at the peer to cancel.
    if (sequence !== 0 && this.lifecycle.maySend) this.outbox.controls.cancel(sequence);
    else this.outbox.drainPaid();
    this.ending.finishIfIdle();
  }
}
