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
  /** Nothing has arrived for too long. */
  onSilence(text: string): void;
  /** The peer's first record opened under the session's keys, which proves the peer (v2), and nobody objects to it. */
  onProven(): void;
  /** A request of this side ended, or fewer bytes wait. */
  onRoom(): void;
  /** The connection is over; `error` is undefined if it ended in good order. */
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
  /** The path of incoming bytes, once the keys are ready. */
  intake: Intake | undefined;
  /** See `HandshakeResult.confirm`. */
  #confirm: (() => Promise<void>) | undefined;

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
    // Protocol v2 reads on even if messages wait for handlers, so it notices the end of the peer's stream at once.
    if (intake === undefined || intake.paused) return "paused";
    return intake.insideFrame ? "insideFrame" : "betweenFrames";
  }

  /** The keys are ready: from now on the socket's bytes go through the intake. */
  makeIntake(session: Session, transport: Transport, confirm: (() => Promise<void>) | undefined): void {
    const { inbox, arrivals, outbox, ending, liveness } = this;
    this.#confirm = confirm;
    this.intake = new Intake(this.#role, this.#context, session, transport, inbox, arrivals, outbox, {
      onResumed: () => {
        // Nothing of the peer could be noticed until now.
        liveness.heard();
        ending.finishIfEnded();
        ending.finishIfIdle();
      },
      onFailure: (error) => this.#events.onEnd(error),
    });
  }

  /** The peer is proven, as far as the protocol proves it. No record is taken until the application confirms it, too. */
  proved(): void {
    const confirm = this.#confirm;
    if (confirm === undefined) {
      this.#events.onProven();
      return;
    }
    this.#confirm = undefined;
    const intake = this.intake!;
    intake.hold();
    // The peer may be open already, and hears nothing else meanwhile.
    this.liveness.start(this.#speaksV2);
    confirm()
      .then(() => {
        if (this.lifecycle.isOver) return;
        this.#events.onProven();
        intake.release();
      })
      .catch((error) => this.#events.onEnd(error));
  }

  /** The first record of protocol v2; all others follow it. */
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
      onEased: () => this.#events.onRoom(),
      onRelief: () => {
        this.intake?.schedule();
        this.arrivals.credit.grant();
      },
      // The failure may come inside a call of the application, which must not find its connection closed after it.
      onFailure: (error) =>
        resumptions.add({
          endOfTurn: () => this.#events.onEnd(error),
          endOfTurnFailed: (other) => this.#events.onEnd(other),
        }),
    });
  }

  #makeArrivals(connection: Connection): Arrivals {
    const { lifecycle, outbox } = this;
    return new Arrivals(
      this.#role,
      this.#speaksV2,
      this.#context,
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
          this.proved();
        },
        onDrainHeard: (reason) => this.ending.drainHeard(reason),
        onCloseHeard: (reason) => this.ending.closeHeard(reason),
        onAnswered: () => {
          outbox.drainPaid();
          this.#events.onRoom();
          this.ending.finishIfIdle();
        },
      },
    );
  }

  #makeLiveness(): Liveness {
    const { lifecycle } = this;
    const { controls } = this.outbox;
    return new Liveness(this.#context.limits, {
      readingPaused: () => this.intake?.paused ?? false,
      writing: () => this.writer.busy,
      ping: () => lifecycle.maySend && controls.ping(),
      pong: () => lifecycle.maySend && controls.pong(0),
      onSilence: (text) => this.#events.onSilence(text),
    });
  }

  #requestAbandoned(sequence: number): void {
    if (this.lifecycle.isOver) return;
    // An unsent request has nothing to cancel at the peer.
    if (sequence !== 0 && this.lifecycle.maySend) this.outbox.controls.cancel(sequence);
    else this.outbox.drainPaid();
    this.#events.onRoom();
    this.ending.finishIfIdle();
  }
}
