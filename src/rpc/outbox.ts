// What leaves a connection: checks what the application gives, decides whether it is taken now, and says what the
// protocol has to say beside it. With protocol v2 messages and requests are paid for with credit that the peer gave;
// what waits for it waits in the paid queue, outside of what is being sent.

import { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import { requireBytes } from "../core/bytes.ts";
import { now } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import { type Controls, controlsFor } from "../protocol/controls.ts";
import { Balance } from "../protocol/credit.ts";
import type { TransportFormat } from "../protocol/handshake.ts";
import { type CallHead, encodeWithHead, type Head, patchDeadline } from "../protocol/head.ts";
import { encodePrepared, PreparedHead } from "../protocol/preparedHead.ts";
import { type Framing, longestBody } from "../protocol/segment.ts";
import { BASE_SETTINGS, type Settings } from "../protocol/settings.ts";
import { Kind, TAG_BYTES } from "../protocol/wire.ts";
import { type CallLimits, PendingCall } from "./call.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { memoryBudget } from "./memoryBudget.ts";
import { type Paid, PaidQueue } from "./paidQueue.ts";
import { PendingRequest, type RequestTable } from "./requests.ts";
import { Sender, type SenderEvents } from "./sender.ts";
import { FIRST_STREAM_CREDIT } from "./sharedWindow.ts";
import { Streams } from "./streams.ts";
import { timers } from "./timers.ts";
import type { TurnQueue } from "./turnQueue.ts";
import { WaitingSend } from "./waitingSend.ts";
import type { Writer } from "./writer.ts";

export interface OutboxEvents extends SenderEvents {
  /** The last of what waited for credit or a place is on its way. */
  onNothingWaits(): void;
}

export class Outbox {
  readonly #events: OutboxEvents;
  readonly #limits: ResolvedLimits;
  readonly #items: CallLimits;
  readonly #lifecycle: Lifecycle;
  readonly #requests: RequestTable;
  readonly #framing: Framing;
  readonly sender: Sender;
  readonly controls: Controls;
  readonly streams: Streams;
  /** Protocol v2: what waits for credit. */
  readonly #paid: PaidQueue | undefined;
  readonly #balance = new Balance(BASE_SETTINGS.messageCredit);
  /** What the peer takes; before its settings arrive, what everybody does. */
  #peer: Settings = BASE_SETTINGS;
  /** The longest body that is taken from the application, and that may be sent now. */
  #longestBody: number;
  #longestNow: number;
  #blockedSaid = false;

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
    const maxFrameBytes = format.peerMaxFrameBytes || limits.maxFrameBytes;
    this.#limits = limits;
    this.#items = { maxItemBytes: limits.maxFrameBytes, maxPendingBytes: limits.maxPendingBytes };
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    this.#framing = {
      withKind,
      padding: withKind ? limits.padding : 0,
      maxFrameBytes,
      bundleBytes: limits.bundleBytes,
    };
    this.#longestBody = longestBody(this.#framing, maxFrameBytes);
    this.#longestNow = withKind ? longestBody(this.#framing, BASE_SETTINGS.maxFrameBytes) : this.#longestBody;
    const senderOptions = { ...this.#framing, lowWaterMarkBytes: limits.highWaterMarkBytes >>> 1 };
    this.sender = new Sender(flushes, writer, senderOptions, events);
    this.controls = controlsFor(withKind, this.sender, () => this.#longestNow);
    this.streams = new Streams(this.sender, this.controls);
    if (withKind) this.#paid = this.#makePaidQueue();
  }

  /** Bytes accepted that the kernel has not taken. */
  get pendingBytes(): number {
    return this.sender.pendingBytes + (this.#paid?.bytes ?? 0);
  }

  /** Nothing waits for credit or a place. */
  get nothingWaits(): boolean {
    return this.#paid?.isEmpty ?? true;
  }

  /** A short request given now would wait for credit or a place. */
  get lacksCredit(): boolean {
    return !(this.#paid?.passes(0, true) ?? true);
  }

  /** So many unsent bytes wait that nothing should be handled that may add to them. */
  get blocked(): boolean {
    const { sender } = this;
    return sender.pendingBytes > this.#limits.maxPendingBytes || sender.overBudget;
  }

  /** Requests may have heads: protocol v2. */
  get takesHeads(): boolean {
    return this.#paid !== undefined;
  }

  /** `sendNoWait` takes nothing now. */
  get aboveHighWater(): boolean {
    const { pendingBytes } = this;
    return pendingBytes >= this.#limits.highWaterMarkBytes || memoryBudget.isExceededBy(pendingBytes);
  }

  // ---- What the peer said -------------------------------------------------------------------------------

  /** The peer's settings arrived: they raise what held so far. */
  applySettings(peer: Settings): void {
    const more = peer.messageCredit - this.#peer.messageCredit;
    this.#peer = peer;
    this.#longestNow = longestBody(this.#framing, peer.maxFrameBytes);
    this.#longestBody = this.#longestNow;
    if (this.#paid !== undefined) this.#paid.longestBody = this.#longestNow;
    if (more > 0) this.#balance.add(more);
    this.#drainPaid();
  }

  /** @throws SealwireError ERR_PROTOCOL */
  addCredit(bytes: number): void {
    this.#balance.add(bytes);
    this.#blockedSaid = false;
    this.#drainPaid();
  }

  /** A request of this side has its end: its place at the peer is free. */
  placeFreed(): void {
    this.#drainPaid();
  }

  /** Nothing of what waits for credit will be sent. */
  closePaid(error: SealwireError): void {
    this.#paid?.clear(error);
  }

  close(error: SealwireError): void {
    this.closePaid(error);
    this.streams.endAll(error);
    this.sender.close(error);
  }

  #drainPaid(): void {
    if (this.nothingWaits) return;
    this.#paid!.drain();
    if (this.nothingWaits) this.#events.onNothingWaits();
  }

  // ---- What the application gives -----------------------------------------------------------------------

  /** @throws SealwireError ERR_INVALID_ARGUMENT, ERR_MESSAGE_TOO_LARGE */
  checkBody(body: Uint8Array): void {
    requireBytes("body", body);
    if (body.length > this.#longestBody) throw this.#tooLarge(body.length);
  }

  /** Why a call can't be taken now, if it can't. */
  refusal(bodyBytes: number): SealwireError | undefined {
    if (!this.#lifecycle.takesCalls) {
      const text = "the connection is closing or closed";
      return new SealwireError("ERR_CLOSED", text, { notBegun: true });
    }
    const pending = this.pendingBytes;
    if (pending === 0) return undefined;
    if (pending + bodyBytes <= this.#limits.maxPendingBytes && !memoryBudget.isExceededBy(pending))
      return undefined;
    const text = `${pending} bytes wait for the peer to take them`;
    return new SealwireError("ERR_BACKPRESSURE", text, { notBegun: true });
  }

  /** A one-way message whose caller does not wait. */
  sendNoWait(body: Uint8Array): void {
    const paid = this.#paid;
    if (paid !== undefined && !paid.passes(body.length, false)) {
      paid.addOneWay(body);
      return;
    }
    paid?.spend(body.length);
    this.sender.append(0, Kind.message, body);
  }

  /**
   * A one-way message with a head.
   *
   * @throws SealwireError ERR_MESSAGE_TOO_LARGE, ERR_UNSUPPORTED (protocol v1)
   */
  sendWithHead(body: Uint8Array, head: CallHead, timeoutMs: number): Promise<void> {
    if (this.#paid === undefined) throw new SealwireError("ERR_UNSUPPORTED", "protocol v1 has no heads");
    const encoded = this.#withHead(body, head, 0, true);
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

  /** `head`: what whoever observes requests has to say beside it; left out where it would not fit or is not known. */
  request(
    body: Uint8Array,
    into: Uint8Array | undefined,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    head?: CallHead,
  ): PendingRequest {
    const encoded = head && this.takesHeads ? encodeWithHead(head, body) : undefined;
    const request = new PendingRequest(this.#requests, into, timeoutMs);
    // Not the body's own limit: before the peer's settings are known, a head must not be what makes it too long.
    if (encoded === undefined || encoded.length > this.#longestNow) {
      this.#begin(request, Kind.message, body, signal);
    } else this.#begin(request, Kind.call, encoded, signal);
    return request;
  }

  /**
   * A request with a head, and with streams if wanted. `refusal`: why it is not taken.
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
    // A signal that is not the runtime's runs somebody else's code before the call is sent.
    const encoded = this.#withHead(body, head ?? {}, timeoutMs, signal === undefined, streams);
    const call = new PendingCall(
      this.#requests,
      withStreams ? this.streams : undefined,
      timeoutMs,
      this.#items,
    );
    try {
      if (refusal === undefined) this.#begin(call, Kind.call, encoded, signal);
      else call.reject(refusal);
    } finally {
      // It was appended, or copied to wait.
      wipe(encoded);
    }
    return call;
  }

  /**
   * An answer's head and body, as they are sent. `isSentNow`: they may lie in memory that the next message uses again.
   * The caller wipes them.
   *
   * @throws SealwireError ERR_MESSAGE_TOO_LARGE
   */
  encodeAnswer(body: Uint8Array, head: CallHead, isSentNow: boolean): Uint8Array {
    return this.#withHead(body, head, 0, isSentNow);
  }

  /** `deadlineMs` 0: no deadline. `mayLend`: it is sent, or copied, before anything else runs. */
  #withHead(
    body: Uint8Array,
    head: CallHead,
    deadlineMs: number,
    mayLend: boolean,
    streams?: Head,
  ): Uint8Array {
    let encoded: Uint8Array;
    if (streams === undefined && head instanceof PreparedHead)
      encoded = encodePrepared(head, deadlineMs, body, mayLend);
    else {
      const deadline = deadlineMs > 0 ? { deadlineMs } : {};
      const { method, traceParent, contentType, fields } = head;
      encoded = encodeWithHead({ method, traceParent, contentType, fields, ...deadline, ...streams }, body);
    }
    if (encoded.length > this.#longestBody) {
      wipe(encoded);
      throw this.#tooLarge(encoded.length);
    }
    return encoded;
  }

  #begin(request: PendingRequest, kind: number, body: Uint8Array, signal: AbortSignal | undefined): void {
    // First, since a signal that is not the runtime's may throw.
    if (signal !== undefined) request.watch(signal);
    this.#sendRequest(request, kind, body);
    if (request.timeoutMs > 0) timers.arm(request, request.timeoutMs);
  }

  #sendRequest(request: PendingRequest, kind: number, body: Uint8Array): void {
    const paid = this.#paid;
    if (paid !== undefined && !paid.passes(body.length, true)) {
      this.#requests.admit();
      paid.add({ kind, body, request });
      return;
    }
    paid?.spend(body.length);
    this.#sendNumbered(request, kind, body);
  }

  #sendNumbered(request: PendingRequest, kind: number, body: Uint8Array): void {
    const sequence = this.#requests.add(request);
    this.sender.append(sequence, kind, body);
    if (request instanceof PendingCall) request.started();
  }

  readonly #waitingSends = {
    handedToKernel: () => this.sender.handedToKernel(),
    onExpired: () => this.#drainPaid(),
  };

  #makePaidQueue(): PaidQueue {
    const outbox = this;
    return new PaidQueue(this.#balance, this.#longestNow, {
      send: (paid) => this.#sendPaid(paid),
      dropped: () => this.#requests.leaveUnsent(),
      sendOneWay: (body) => this.sender.append(0, Kind.message, body),
      tooLong: (bodyBytes) =>
        this.#peer !== BASE_SETTINGS && bodyBytes > this.#longestNow ? this.#tooLarge(bodyBytes) : undefined,
      get requestsFull() {
        return outbox.#requests.occupied >= outbox.#peer.maxRequests;
      },
      onBlocked: () => this.#sayBlocked(),
    });
  }

  #sendPaid({ kind, body, request }: Paid): void {
    if (request === undefined) {
      this.sender.append(0, kind, body);
      return;
    }
    this.#requests.leaveUnsent();
    if (request instanceof PendingCall) patchDeadline(body, request.deadlineAt - now());
    this.#sendNumbered(request, kind, body);
  }

  #sayBlocked(): void {
    if (this.#blockedSaid || !this.#lifecycle.isEstablished) return;
    this.#blockedSaid = true;
    this.controls.blocked(0);
  }

  #tooLarge(bodyBytes: number): SealwireError {
    const sealedBytes = this.sender.plaintextBytes(bodyBytes) + TAG_BYTES;
    const limit = this.sender.plaintextBytes(this.#longestBody) + TAG_BYTES;
    const text = `a body of ${bodyBytes} bytes makes a frame of ${sealedBytes} bytes, limit ${limit}`;
    return new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
  }
}
