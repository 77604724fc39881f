// Every record that a connection sends passes through the outbox. It checks the bodies of the application, decides
// whether to take them now, and sends the control records. With protocol v2, messages and requests are paid for with
// credit that the peer gave. A body without credit waits in the paid queue, and is not yet in the order of sending.

import { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import { type Controls, controlsFor } from "../protocol/controls.ts";
import type { TransportFormat } from "../protocol/handshake.ts";
import { type CallHead, patchDeadline } from "../protocol/head.ts";
import type { Framing } from "../protocol/segment.ts";
import { BASE_SETTINGS, type Settings } from "../protocol/settings.ts";
import { Kind } from "../protocol/wire.ts";
import { PendingCall } from "./call.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { OutgoingBodies } from "./outgoingBodies.ts";
import { type Paid, PaidQueue } from "./paidQueue.ts";
import { PendingRequest } from "./pendingRequest.ts";
import type { RequestTable } from "./requests.ts";
import { Sender, type SenderEvents } from "./sender.ts";
import { SendingCredit } from "./sendingCredit.ts";
import { FIRST_STREAM_CREDIT } from "./sharedWindow.ts";
import { Streams } from "./streams.ts";
import { timers } from "./timers.ts";
import type { TurnQueue } from "./turnQueue.ts";
import { WaitingSend, type WaitingSendEvents } from "./waitingSend.ts";
import type { Writer } from "./writer.ts";

export interface OutboxEvents extends SenderEvents {
  /** All bodies that waited for credit or a permit are on their way. */
  onNothingWaits(): void;
}

export class Outbox {
  readonly #events: OutboxEvents;
  readonly #limits: ResolvedLimits;
  readonly #lifecycle: Lifecycle;
  readonly #requests: RequestTable;
  /** The limits and the encoding of bodies. */
  readonly bodies: OutgoingBodies;
  readonly sender: Sender;
  readonly controls: Controls;
  readonly streams: Streams;
  readonly credit: SendingCredit;
  /** Protocol v2: bodies that wait for credit. */
  readonly #paid: PaidQueue | undefined;
  /** The peer's settings; until they arrive, the settings that every peer accepts. */
  #peer: Settings = BASE_SETTINGS;
  readonly #waitingSends: WaitingSendEvents = {
    handedToKernel: () => this.sender.handedToKernel(),
    onExpired: () => this.drainPaid(),
  };

  constructor(
    limits: ResolvedLimits,
    format: TransportFormat,
    lifecycle: Lifecycle,
    requests: RequestTable,
    flushes: TurnQueue,
    writer: Writer,
    events: OutboxEvents,
  ) {
    this.#events = events;
    const withKind = format.header === "kind";
    this.#limits = limits;
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    const framing: Framing = {
      withKind,
      padding: withKind ? limits.padding : 0,
      maxFrameBytes: format.peerMaxFrameBytes || limits.maxFrameBytes,
      bundleBytes: limits.bundleBytes,
    };
    this.bodies = new OutgoingBodies(framing);
    const lowWaterMarkBytes = limits.highWaterMarkBytes >>> 1;
    this.sender = new Sender(flushes, writer, { ...framing, lowWaterMarkBytes }, events);
    this.controls = controlsFor(withKind, this.sender, () => this.bodies.longestNow);
    this.streams = new Streams(this.sender, this.controls);
    this.credit = new SendingCredit(limits.highWaterMarkBytes, lifecycle, this.controls);
    if (withKind) this.#paid = this.#makePaidQueue();
  }

  /** Bytes accepted that the kernel has not taken. */
  get pendingBytes(): number {
    return this.sender.pendingBytes + (this.#paid?.bytes ?? 0);
  }

  /** Nothing waits for credit or a permit. */
  get nothingWaits(): boolean {
    return this.#paid?.isEmpty ?? true;
  }

  /** A short request given now would wait for credit or a permit. */
  get lacksCredit(): boolean {
    return !(this.#paid?.passes(0, true) ?? true);
  }

  /** So many unsent bytes wait that no message should be handled, because its answer would add to them. */
  get blocked(): boolean {
    const { bytes } = this.sender;
    return bytes.pending > this.#limits.maxPendingBytes || bytes.stopsHandlers;
  }

  /** Requests may have heads: protocol v2. */
  get takesHeads(): boolean {
    return this.#paid !== undefined;
  }

  /** Whether `sendNoWait` takes a message now. Without credit for it, the peer is told. */
  takesNoWait(): boolean {
    return !this.#aboveHighWater() && !this.credit.refuses();
  }

  #aboveHighWater(): boolean {
    return this.pendingBytes >= this.#limits.highWaterMarkBytes || this.sender.bytes.overBudget;
  }

  // ---- What the peer said -------------------------------------------------------------------------------

  /** The peer's settings arrived; they raise the limits. */
  applySettings(peer: Settings): void {
    const more = peer.messageCredit - this.#peer.messageCredit;
    this.#peer = peer;
    this.bodies.peerTakes(peer.maxFrameBytes);
    if (this.#paid !== undefined) this.#paid.longestBody = this.bodies.longestNow;
    if (more > 0) this.credit.balance.add(more);
    this.drainPaid();
  }

  /** @throws SealwireError ERR_PROTOCOL */
  addCredit(bytes: number): void {
    this.credit.given(bytes);
    this.drainPaid();
  }

  /** Drops all bodies that wait for credit. */
  closePaid(error: SealwireError): void {
    this.#paid?.clear(error);
  }

  close(error: SealwireError): void {
    this.closePaid(error);
    this.streams.endAll(error);
    this.sender.close(error);
  }

  /** There may be credit or a permit for waiting bodies. */
  drainPaid(): void {
    if (this.nothingWaits) return;
    this.#paid!.drain();
    this.#events.onEased();
    if (this.nothingWaits) this.#events.onNothingWaits();
  }

  // ---- What the application gives -----------------------------------------------------------------------

  /** The error if a call can't be taken now. */
  refusal(bodyBytes: number): SealwireError | undefined {
    if (!this.#lifecycle.takesCalls) {
      const text = "the connection is closing or closed";
      return new SealwireError("ERR_CLOSED", text, { notBegun: true });
    }
    const pending = this.pendingBytes;
    const isTooMuch = pending + bodyBytes > this.#limits.maxPendingBytes || this.sender.bytes.overBudget;
    if (pending === 0 || !isTooMuch) return undefined;
    const text = `${pending} bytes wait for the peer to take them`;
    return new SealwireError("ERR_BACKPRESSURE", text, { notBegun: true });
  }

  /** A one-way message whose caller does not wait. False: it was not taken. */
  sendNoWait(body: Uint8Array): boolean {
    if (this.#aboveHighWater()) return false;
    const paid = this.#paid;
    if (paid !== undefined && !paid.passes(body.length, false)) {
      if (this.credit.refuses()) return false;
      paid.addOneWay(body);
      return true;
    }
    paid?.spend(body.length);
    this.sender.append(0, Kind.message, body);
    return true;
  }

  /** @throws SealwireError ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1) */
  sendWithHead(body: Uint8Array, head: CallHead, timeoutMs: number): Promise<void> {
    if (this.#paid === undefined) throw new SealwireError("ERR_UNSUPPORTED", "protocol v1 has no heads");
    const encoded = this.bodies.withHead(body, head, 0, true);
    const sent = this.send(encoded, timeoutMs, Kind.call);
    wipe(encoded);
    return sent;
  }

  /** A one-way message; resolves when the kernel has it. `timeoutMs`: for how long it may wait for credit. */
  send(body: Uint8Array, timeoutMs: number, kind: number = Kind.message): Promise<void> {
    const paid = this.#paid;
    if (paid === undefined || paid.passes(body.length, false)) {
      paid?.spend(body.length);
      this.sender.append(0, kind, body);
      return this.sender.handedToKernel();
    }
    const waiting = new WaitingSend(kind, body, timeoutMs, this.#waitingSends);
    paid.add(waiting);
    return waiting.settling;
  }

  /** `head`: information of an observer of requests; left out if it does not fit or the peer knows no heads. */
  request(
    body: Uint8Array,
    into: Uint8Array | undefined,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    head?: CallHead,
  ): PendingRequest {
    const encoded = head && this.takesHeads ? this.bodies.withHeadIfItFits(body, head) : undefined;
    const request = new PendingRequest(this.#requests, into, timeoutMs);
    this.#begin(request, encoded === undefined ? Kind.message : Kind.call, encoded ?? body, signal);
    return request;
  }

  /**
   * Makes a request with a head, and with streams if wanted. `refusal`: the error with which it rejects at once.
   *
   * @throws SealwireError ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1)
   */
  call(
    body: Uint8Array,
    head: CallHead | undefined,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    withStreams: boolean,
    refusal: SealwireError | undefined,
  ): PendingCall {
    if (this.#paid === undefined) throw new SealwireError("ERR_UNSUPPORTED", "protocol v1 has no calls");
    const streams = withStreams ? { streams: true, streamCredit: FIRST_STREAM_CREDIT } : undefined;
    // A signal that is not the runtime's may run other code before the call is sent.
    const encoded = this.bodies.withHead(body, head ?? {}, timeoutMs, signal === undefined, streams);
    const call = new PendingCall(this.#requests, streams && this.streams, timeoutMs, this.#limits);
    if (refusal === undefined) this.#begin(call, Kind.call, encoded, signal);
    else {
      wipe(encoded);
      call.reject(refusal);
    }
    return call;
  }

  /** With a head, `body` is this side's own: once it was appended, or copied to wait, it is wiped. */
  #begin(request: PendingRequest, kind: number, body: Uint8Array, signal: AbortSignal | undefined): void {
    try {
      if (signal !== undefined) {
        // First, because a signal that is not the runtime's may throw, or run code that closes this connection.
        const refusal = request.watch(signal) ?? this.refusal(0);
        if (refusal !== undefined) return request.reject(refusal);
      }
      this.#sendOrWait(request, kind, body);
    } finally {
      if (kind === Kind.call) wipe(body);
    }
  }

  /** Sends the request, or keeps a copy until there is credit and a permit. */
  #sendOrWait(request: PendingRequest, kind: number, body: Uint8Array): void {
    const paid = this.#paid;
    const { timeoutMs } = request;
    if (paid === undefined || paid.passes(body.length, true)) {
      paid?.spend(body.length);
      this.sender.append(this.#requests.add(request), kind, body);
      request.started();
      if (timeoutMs > 0) timers.armFromTurnEnd(request, timeoutMs);
    } else {
      this.#requests.admit();
      paid.add({ kind, body, request });
      if (timeoutMs > 0) timers.arm(request, timeoutMs);
    }
  }

  #makePaidQueue(): PaidQueue {
    return new PaidQueue(this.credit.balance, this.bodies.longestNow, {
      send: (paid) => this.#sendPaid(paid),
      dropped: () => this.#requests.leaveUnsent(),
      hold: (bytes) => this.sender.hold(bytes, true),
      sendOneWay: (body) => this.sender.append(0, Kind.message, body),
      tooLong: (bodyBytes) =>
        this.#peer !== BASE_SETTINGS && bodyBytes > this.bodies.longestNow
          ? this.bodies.tooLarge(bodyBytes)
          : undefined,
      requestsFull: () => this.#requests.fills(this.#peer.maxRequests),
      onBlocked: () => this.credit.isSpent(),
    });
  }

  #sendPaid({ kind, body, request }: Paid): void {
    if (request === undefined) return this.sender.append(0, kind, body);
    this.#requests.leaveUnsent();
    if (request instanceof PendingCall) patchDeadline(body, request.deadlineAt - now());
    this.sender.append(this.#requests.add(request), kind, body);
    request.started();
  }
}
