// The path of bytes into an established connection, from the socket to the handlers, and the gate in front of it.
//
//   socket ──▶ FrameReader ──▶ FrameOpener ──▶ Backlog ──▶ Inbox        while ReadGate lets it

import { Backlog } from "../protocol/backlog.ts";
import { FrameOpener } from "../protocol/frameOpener.ts";
import { FrameReader } from "../protocol/frameReader.ts";
import type { Role } from "../protocol/handshake.ts";
import type { Session } from "../protocol/session.ts";
import { KIND_HEADER_BYTES, SEQUENCE_HEADER_BYTES, TAG_BYTES } from "../protocol/wire.ts";
import type { Arrivals } from "./arrivals.ts";
import type { ConnectionContext } from "./context.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import { type GatedReader, ReadGate } from "./readGate.ts";
import type { Transport } from "./transport.ts";

export interface IntakeEvents {
  /** Reading continued after a pause, or may have. */
  onResumed(): void;
  onFailure(error: unknown): void;
}

export class Intake implements GatedReader {
  readonly #inbox: Inbox;
  readonly #arrivals: Arrivals;
  /** Protocol v2 pauses for its next turn only: messages that wait for handlers wait behind the inbox. */
  readonly #pauses: boolean;
  readonly #outbox: Outbox;
  readonly #events: IntakeEvents;
  readonly #transport: Transport;
  readonly #backlog: Backlog;
  readonly #reader: FrameReader;
  readonly gate: ReadGate;

  constructor(
    role: Role,
    context: ConnectionContext,
    session: Session,
    transport: Transport,
    inbox: Inbox,
    arrivals: Arrivals,
    outbox: Outbox,
    events: IntakeEvents,
  ) {
    this.#inbox = inbox;
    this.#arrivals = arrivals;
    this.#outbox = outbox;
    this.#events = events;
    this.#transport = transport;
    const withKind = context.handshake.format.header === "kind";
    this.#pauses = !withKind;
    const headerBytes = withKind ? KIND_HEADER_BYTES : SEQUENCE_HEADER_BYTES;
    this.#backlog = new Backlog(inbox);
    const opener = new FrameOpener(
      session,
      { withKind, role, bodyViews: context.bodyViews, firstAlone: withKind },
      this.#backlog,
    );
    this.#reader = new FrameReader(opener, headerBytes + TAG_BYTES, context.limits.maxFrameBytes);
    this.gate = new ReadGate(this, context.resumptions, context.rounds, context.handlerBudget);
  }

  /** `length` bytes are in the receive buffer. `at`: the time now. */
  takeReceiveBuffer(length: number, at?: number): void {
    this.gate.handle(() => this.#reader.takeReceiveBuffer(length), at);
  }

  /** Bytes outside of the receive buffer, valid during the call. `at`: the time now. `polled`: see `TransportEvents`. */
  read(bytes: Uint8Array, at?: number, polled?: boolean): void {
    this.gate.handle(() => this.#reader.read(bytes), at, polled);
  }

  /** Reading is paused. */
  get paused(): boolean {
    return this.#inbox.held || (this.#pauses ? this.gate.paused : this.gate.inLine);
  }

  /** A frame has begun and is not complete. */
  get insideFrame(): boolean {
    return this.#reader.insideFrame;
  }

  /** Nothing more is read, and no record is taken, until `release`. */
  hold(): void {
    this.#inbox.held = true;
    this.#transport.pause();
  }

  /** The reverse of `hold`. Whatever else pauses the socket meanwhile resumes it later. */
  release(): void {
    if (this.stopped) return;
    this.#inbox.held = false;
    if (!this.paused) this.#transport.resume();
    if (this.gate.paused) this.gate.schedule();
    else this.#events.onResumed();
  }

  /** There may be room for waiting records. */
  schedule(): void {
    this.gate.schedule();
  }

  /** Takes no more bytes, and drops waiting records. */
  close(): void {
    this.#reader.stop();
    this.#backlog.clear();
    this.gate.close();
  }

  // ---- GatedReader --------------------------------------------------------------------------------------

  get stopped(): boolean {
    return this.#inbox.stopped;
  }

  get nothingWaits(): boolean {
    return this.#backlog.isEmpty && this.#arrivals.nothingWaits;
  }

  get ready(): boolean {
    return !this.#inbox.held && this.#arrivals.ready;
  }

  get turnIsOver(): boolean {
    return this.#arrivals.clock.isOver;
  }

  beginTurn(turnMs: number, at?: number): void {
    this.#arrivals.clock.begin(turnMs, at);
  }

  turnTaken(at?: number): number {
    return this.#arrivals.clock.taken(at);
  }

  get outputBlocked(): boolean {
    return this.#outbox.blocked;
  }

  pauseSocket(): void {
    if (this.#pauses) this.#transport.pause();
  }

  resumeSocket(): void {
    if (this.#pauses && !this.#inbox.held) this.#transport.resume();
  }

  holdSocket(): void {
    if (!this.#pauses) this.#transport.pause();
  }

  releaseSocket(): void {
    if (this.#pauses || this.#inbox.held) return;
    this.#transport.resume();
    this.#events.onResumed();
  }

  handleWaiting(): void {
    this.#backlog.drain();
    this.#arrivals.beginWaiting();
  }

  corkOutput(): void {
    this.#outbox.sender.readBegins();
  }

  uncorkOutput(): number | undefined {
    this.#arrivals.credit.grant();
    return this.#outbox.sender.readEnds();
  }

  wantRelief(): void {
    this.#outbox.sender.wantRelief();
  }

  resumed(): void {
    this.#events.onResumed();
  }

  failed(error: unknown): void {
    this.#events.onFailure(error);
  }
}
