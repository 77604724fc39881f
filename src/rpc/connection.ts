// One connection, at either end: handshake, then messages and requests in both directions, then an orderly end.
//
//   dialing ──socket──▶ handshaking ──keys──▶ open ──close() or the peer's drain──▶ draining ──▶ closed
//      └───────────────────────┴─────────────── any failure, at any time ───────────────────────────▲
//
// Draining (protocol v2): each side says "drain" (nothing new from me), answers what it still has, says "close"
// and ends its stream. A stream that ends without "close" was cut. Protocol v1 knows neither: there the end of
// the stream is all that is said.

import {
  KIND_HEADER_BYTES,
  Kind,
  LENGTH_BYTES,
  PAD_LENGTH_BYTES,
  PADDED_FLAG,
  SEQUENCE_HEADER_BYTES,
  TAG_BYTES,
  WINDOW_FRAME_BYTES,
} from "../constants.ts";
import { readU32, totalLength, writeU32 } from "../core/bytes.ts";
import { memory, RECEIVE_WINDOW } from "../core/crypto.ts";
import type { Engine } from "../core/frameCipher.ts";
import { wipeAndRelease } from "../core/release.ts";
import { type ErrorCode, invalidArgument, SealwireError } from "../errors.ts";
import { integerOption, type PeerIdentity, type ResolvedLimits } from "../options.ts";
import { FrameReader, type FrameSink } from "../protocol/frame.ts";
import type { Handshake, HandshakeFactory, Role } from "../protocol/handshake.ts";
import { decodeError, encodeError } from "../protocol/message.ts";
import { longestBody } from "../protocol/segment.ts";
import { Session } from "../protocol/session.ts";
import { copyBody, returnScratch, takeScratch, viewOf } from "./bodies.ts";
import { callListener } from "./listeners.ts";
import { IncomingMessage, type MessageOwner } from "./message.ts";
import type { Connection, ConnectionState, Message, MessageHandler, RequestOptions } from "./peer.ts";
import { PendingRequest, RequestTable } from "./requests.ts";
import { Sender } from "./sender.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { DialEvents, Transport } from "./transport.ts";
import type { TurnQueue } from "./turn.ts";

/** What connections of one client or server share. */
export interface ConnectionContext {
  readonly limits: ResolvedLimits;
  readonly handshake: HandshakeFactory;
  /** The client or server is closed: wipes what its options made. */
  readonly releaseKeys: () => void;
  /** What a client dialled, as text; undefined on a server. */
  readonly dialledAddress: string | undefined;
  readonly engine: Engine;
  readonly onMessage: MessageHandler | undefined;
  /** Bodies as views of linear memory instead of copies. */
  readonly bodyViews: boolean;
  /** Error replies carry the stack of what the handler threw. */
  readonly exposeStacks: boolean;
  readonly onHandlerError: (error: unknown, message: Message) => void;
  readonly turns: TurnQueue;
}

/** What a client or server wants to know of its connections. */
export interface ConnectionObserver {
  /** The socket is connected; the handshake begins. */
  onSocket(connection: RpcConnection): void;
  onOpen(connection: RpcConnection): void;
  onDraining(connection: RpcConnection): void;
  /** It takes and gives nothing any more. `error`: why, unless it ended in good order. */
  onClosed(connection: RpcConnection, error: SealwireError | undefined): void;
  /** Its socket is gone, too. Always after `onClosed`. */
  onGone(connection: RpcConnection): void;
}

const EMPTY = new Uint8Array(0);
/** A peer may send this much behind its last handshake message before this side is ready; then it is cut off. */
const MAX_EARLY_BYTES = 262_144;
/** Reasons that callers get as they are; every other one is the cause of ERR_CONNECTION_LOST. */
const OWN_REASONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_CLOSED",
  "ERR_CONNECTION_LOST",
  "ERR_DIAL_FAILED",
  "ERR_DIAL_TIMEOUT",
  "ERR_HANDSHAKE",
  "ERR_HANDSHAKE_TIMEOUT",
  "ERR_READ_TIMEOUT",
  "ERR_UNAUTHORIZED",
  "ERR_WRITE_TIMEOUT",
]);

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** A message as the record that it would be in a bundle. */
function asRecord(sequence: number, kind: number, body: Uint8Array): Uint8Array {
  const record = new Uint8Array(LENGTH_BYTES + KIND_HEADER_BYTES + body.length);
  writeU32(record, 0, KIND_HEADER_BYTES + body.length);
  writeU32(record, LENGTH_BYTES, sequence);
  record[LENGTH_BYTES + SEQUENCE_HEADER_BYTES] = kind;
  record.set(body, LENGTH_BYTES + KIND_HEADER_BYTES);
  return record;
}

/** Records of a bundle, handled up to `at`. */
interface KeptRecords {
  readonly bytes: Uint8Array;
  at: number;
}

export class RpcConnection implements Connection, DialEvents, FrameSink, MessageOwner {
  readonly #role: Role;
  readonly #context: ConnectionContext;
  readonly #observer: ConnectionObserver;
  readonly #withKind: boolean;
  readonly #headerBytes: number;
  readonly #maxSendBytes: number;
  /** What fits into #maxSendBytes. */
  readonly #longestBody: number;
  readonly #requests: RequestTable;
  readonly #sender: Sender;
  readonly #reader: FrameReader;

  #state: ConnectionState = "dialing";
  #transport: Transport | undefined;
  #handshake: Handshake | undefined;
  #session: Session | undefined;
  #identity: PeerIdentity | undefined;
  #cancelDial: (() => void) | undefined;

  /** Bytes that arrived before the handshake could use them. */
  #early = EMPTY;
  /** A handshake message is on its way to the kernel. */
  #handshakeWriting = false;
  /** The application decides about the peer (authorize). */
  #deciding = false;

  /** Handlers that returned a promise which has not settled. */
  #running = 0;
  /** Requests that a cancel or the end of the connection has to reach. */
  readonly #watchedRequests = new Map<number, IncomingMessage>();
  readonly #watchedMessages = new Set<IncomingMessage>();
  #spare: IncomingMessage | undefined;
  /** What waits for room among the handlers, as records of a bundle; while there is any, reading is paused. */
  #kept: KeptRecords[] = [];
  #paused = false;
  #resumeScheduled = false;
  readonly #resumeTask = { endOfTurn: () => this.#resumeReading() };

  #wantsClose = false;
  #peerDrained = false;
  #peerClosed = false;
  #closeSent = false;
  #ended = false;
  #framesSeen = false;
  #gone = false;
  readonly #whenGone: Promise<void>;
  #resolveGone!: () => void;

  #lastReceivedAt = 0;
  /** When the peer was asked for a sign of life that has not come; 0: it was not asked. */
  #pingedAt = 0;
  readonly #handshakeDeadline: CallbackDeadline;
  readonly #readDeadline: CallbackDeadline;
  readonly #heartbeat: CallbackDeadline;
  readonly #drainDeadline: CallbackDeadline;

  droppedReplies = 0;

  constructor(role: Role, context: ConnectionContext, observer: ConnectionObserver) {
    const { limits, handshake, turns } = context;
    this.#role = role;
    this.#context = context;
    this.#observer = observer;
    this.#withKind = handshake.format.header === "kind";
    this.#headerBytes = this.#withKind ? KIND_HEADER_BYTES : SEQUENCE_HEADER_BYTES;
    this.#maxSendBytes = handshake.format.peerMaxFrameBytes || limits.maxFrameBytes;
    this.#requests = new RequestTable(role === "client" ? 1 : 2, limits.maxInFlightRequests, (sequence) =>
      this.#requestAbandoned(sequence),
    );
    const senderOptions = {
      withKind: this.#withKind,
      padding: this.#withKind ? limits.padding : 0,
      maxFrameBytes: this.#maxSendBytes,
      bundleBytes: limits.bundleBytes,
      writeTimeoutMs: limits.writeTimeoutMs,
      lowWaterMarkBytes: limits.highWaterMarkBytes >>> 1,
    };
    this.#longestBody = longestBody(senderOptions, this.#maxSendBytes);
    this.#sender = new Sender(turns, senderOptions, {
      onLowWater: () => this.#scheduleResume(),
      onStall: () =>
        this.#fail("ERR_WRITE_TIMEOUT", `the peer took no bytes for ${limits.writeTimeoutMs} ms`),
      onFailure: (error) => this.#shutdown(error),
    });
    this.#reader = new FrameReader(this, this.#headerBytes + TAG_BYTES, limits.maxFrameBytes);
    this.#whenGone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    this.#handshakeDeadline = new CallbackDeadline(() =>
      this.#fail("ERR_HANDSHAKE_TIMEOUT", `no complete handshake within ${limits.handshakeTimeoutMs} ms`),
    );
    this.#readDeadline = new CallbackDeadline(() => this.#checkRead());
    this.#heartbeat = new CallbackDeadline(() => this.#checkHeartbeat());
    this.#drainDeadline = new CallbackDeadline(() =>
      this.#fail("ERR_CLOSED", `closed with calls in flight after ${limits.drainTimeoutMs} ms`),
    );
  }

  get connection(): Connection {
    return this;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get remoteAddress(): string {
    return this.#transport?.remoteAddress ?? "";
  }

  get identity(): PeerIdentity | undefined {
    return this.#identity;
  }

  get authenticated(): boolean {
    return this.#identity?.authenticated ?? false;
  }

  get remoteStaticKey(): Uint8Array | undefined {
    return this.#identity?.remoteStaticKey;
  }

  get handshakeHash(): Uint8Array | undefined {
    return this.#identity?.handshakeHash;
  }

  get pendingBytes(): number {
    return this.#sender.pendingBytes;
  }

  get inFlightRequests(): number {
    return this.#requests.size;
  }

  /** May take new calls: not closing, not closed. */
  get usable(): boolean {
    return this.#state !== "closed" && this.#state !== "draining" && !this.#wantsClose;
  }

  get requestsFull(): boolean {
    return this.#requests.full;
  }

  // ---- Calls --------------------------------------------------------------------------------------------

  send(body: Uint8Array): Promise<void> {
    this.#checkBody(body);
    const refusal = this.#refusal(body.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#sender.append(0, Kind.message, body);
    return this.#sender.handedToKernel();
  }

  sendNoWait(body: Uint8Array): boolean {
    this.#checkBody(body);
    if (!this.usable || this.#sender.pendingBytes >= this.#context.limits.highWaterMarkBytes) return false;
    this.#sender.append(0, Kind.message, body);
    return true;
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    this.#checkBody(body);
    let timeoutMs = this.#context.limits.requestTimeoutMs;
    let signal: AbortSignal | undefined;
    let into: Uint8Array | undefined;
    if (options !== undefined) {
      ({ signal, into } = checkRequestOptions(options));
      timeoutMs = options.timeoutMs ?? timeoutMs;
      if (signal?.aborted) {
        const cause = signal.reason;
        return Promise.reject(new SealwireError("ERR_ABORTED", "the request was aborted", { cause }));
      }
    }
    const refusal = this.#refusal(body.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#requests.full) {
      const text = `${this.#requests.size} requests are in flight on this connection`;
      return Promise.reject(new SealwireError("ERR_TOO_MANY_REQUESTS", text));
    }
    const request = new PendingRequest(this.#requests, into, timeoutMs);
    const sequence = this.#requests.add(request);
    this.#sender.append(sequence, Kind.message, body);
    if (timeoutMs > 0) timers.arm(request, timeoutMs);
    if (signal !== undefined) request.watch(signal);
    return request.answer;
  }

  close(): Promise<void> {
    if (!this.#wantsClose && this.#state !== "closed") {
      this.#wantsClose = true;
      timers.arm(this.#drainDeadline, this.#context.limits.drainTimeoutMs);
      const established = this.#state === "open" || this.#state === "draining";
      // Calls made before the connection was ready are in flight, too: they wait for it within the drain time.
      if (established) this.#drain();
      else if (this.#sender.pendingBytes === 0) this.#fail("ERR_CLOSED", "closed by this side");
    }
    return this.#whenGone;
  }

  /** Ends it at once: calls in flight reject with this error. */
  destroy(error: SealwireError): void {
    this.#shutdown(error);
  }

  #checkBody(body: Uint8Array): void {
    if (!(body instanceof Uint8Array)) throw invalidArgument("body", "a Uint8Array");
    if (body.length > this.#longestBody) {
      const sealedBytes = this.#sender.plaintextBytes(body.length) + TAG_BYTES;
      const text = `a body of ${body.length} bytes makes a frame of ${sealedBytes} bytes, limit ${this.#maxSendBytes}`;
      throw new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
    }
  }

  /** Why a call can't be taken now, if it can't. */
  #refusal(bodyBytes: number): SealwireError | undefined {
    if (!this.usable) return new SealwireError("ERR_CLOSED", "the connection is closing or closed");
    const pending = this.#sender.pendingBytes;
    if (pending > 0 && pending + bodyBytes > this.#context.limits.maxPendingBytes) {
      return new SealwireError("ERR_BACKPRESSURE", `${pending} bytes wait for the peer to take them`);
    }
    return undefined;
  }

  #requestAbandoned(sequence: number): void {
    if (this.#state === "closed") return;
    if (this.#withKind && !this.#closeSent) this.#sender.append(sequence, Kind.cancel, EMPTY);
    this.#finishIfIdle();
  }

  // ---- Socket and handshake -----------------------------------------------------------------------------

  /** How to give up dialling. */
  dialling(cancel: () => void): void {
    this.#cancelDial = cancel;
  }

  onOpen(transport: Transport): void {
    this.#cancelDial = undefined;
    this.#transport = transport;
    if (this.#state === "closed") {
      transport.destroy();
      return;
    }
    this.#state = "handshaking";
    this.#observer.onSocket(this);
    const { limits, handshake, dialledAddress } = this.#context;
    if (limits.handshakeTimeoutMs > 0) timers.arm(this.#handshakeDeadline, limits.handshakeTimeoutMs);
    try {
      const remoteAddress = dialledAddress ?? transport.remoteAddress;
      this.#handshake = handshake.create(this.#role, { remoteAddress });
      this.#advanceHandshake();
    } catch (error) {
      this.#shutdown(error);
      return;
    }
    if (this.state !== "closed" && !this.#deciding) transport.resume();
  }

  onWindow(length: number): void {
    this.#lastReceivedAt = performance.now();
    if (this.#session === undefined) {
      this.#takeEarly(memory.subarray(RECEIVE_WINDOW, RECEIVE_WINDOW + length));
      return;
    }
    this.#sender.hold();
    try {
      this.#reader.readWindow(length);
    } catch (error) {
      this.#shutdown(error);
    }
    this.#afterRead();
  }

  onData(bytes: Uint8Array): void {
    this.#lastReceivedAt = performance.now();
    if (this.#session === undefined) {
      this.#takeEarly(bytes);
      return;
    }
    this.#sender.hold();
    try {
      this.#reader.read(bytes);
    } catch (error) {
      this.#shutdown(error);
    }
    this.#afterRead();
  }

  onWritten(): void {
    if (this.#handshakeWriting) {
      this.#handshakeWriting = false;
      this.#continueHandshake();
      return;
    }
    this.#sender.onWritten();
  }

  onEnd(): void {
    if (this.#state === "closed") return;
    this.#ended = true;
    if (this.#session === undefined) {
      if (!this.#deciding) this.#fail("ERR_HANDSHAKE", this.#withHint("the peer closed the connection"));
      return;
    }
    this.#finishIfEnded();
  }

  onClose(error?: unknown): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#state !== "closed") this.#shutdown(this.#closeReason(error));
    this.#sender.releaseMemory();
    this.#resolveGone();
    this.#observer.onGone(this);
  }

  #closeReason(error: unknown): SealwireError | undefined {
    if (this.#state === "dialing") {
      return error instanceof SealwireError
        ? error
        : new SealwireError("ERR_DIAL_FAILED", "could not connect", { cause: error });
    }
    if (this.#peerClosed && this.#closeSent) return undefined;
    if (this.#session === undefined) {
      return new SealwireError("ERR_HANDSHAKE", this.#withHint("the connection was lost"), {
        cause: error,
      });
    }
    return this.#lost("the connection was lost", error);
  }

  /** Nothing is sent to say why a handshake is refused, so that this side can only guess. */
  #withHint(text: string): string {
    const during = `${text} during the handshake`;
    if (!this.#withKind) return during;
    return `${during}: it may have other options (pattern, postQuantum, psk, keys) or speak another protocol`;
  }

  /** A connection that ends before the peer's first frame was probably refused by it: say so. */
  #lost(text: string, cause?: unknown): SealwireError {
    if (this.#withKind && !this.#framesSeen) {
      const hint =
        "the peer closed the connection right after the handshake: it may not accept this side's key or psk";
      return new SealwireError("ERR_HANDSHAKE", hint, { cause });
    }
    return new SealwireError("ERR_CONNECTION_LOST", text, { cause });
  }

  #takeEarly(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    if (this.#early.length > MAX_EARLY_BYTES) {
      this.#fail("ERR_HANDSHAKE", "too many bytes before the handshake was complete");
      return;
    }
    const joined = new Uint8Array(this.#early.length + bytes.length);
    joined.set(this.#early);
    joined.set(bytes, this.#early.length);
    this.#early = joined;
    this.#continueHandshake();
  }

  #continueHandshake(): void {
    if (this.#state !== "handshaking") return;
    try {
      this.#advanceHandshake();
    } catch (error) {
      this.#shutdown(error);
    }
  }

  #advanceHandshake(): void {
    const handshake = this.#handshake!;
    const transport = this.#transport!;
    while (this.#state === "handshaking" && !this.#handshakeWriting && !this.#deciding) {
      const out = handshake.send();
      if (out !== undefined) {
        this.#handshakeWriting = !transport.write(out);
        continue;
      }
      if (handshake.done) return this.#established(handshake, transport);
      const { expects } = handshake;
      if (expects === 0 || this.#early.length < expects) return;
      const bytes = this.#early.subarray(0, expects);
      this.#early = this.#early.subarray(expects);
      const decision = handshake.receive(bytes);
      if (decision !== undefined) this.#awaitDecision(decision, transport);
    }
  }

  #awaitDecision(decision: Promise<void>, transport: Transport): void {
    this.#deciding = true;
    transport.pause();
    decision.then(
      () => {
        this.#deciding = false;
        if (this.#state !== "handshaking") return;
        transport.resume();
        this.#continueHandshake();
      },
      (error) => {
        this.#deciding = false;
        this.#shutdown(error);
      },
    );
  }

  #established(handshake: Handshake, transport: Transport): void {
    const { handshake: factory, engine, limits } = this.#context;
    const result = handshake.finish();
    handshake.destroy();
    this.#handshake = undefined;
    this.#session = new Session(result, factory.format, engine);
    this.#identity = result.identity;
    this.#state = "open";
    timers.cancel(this.#handshakeDeadline);
    this.#lastReceivedAt = performance.now();
    if (limits.readTimeoutMs > 0) timers.arm(this.#readDeadline, limits.readTimeoutMs);
    if (this.#withKind && limits.heartbeatIntervalMs > 0)
      timers.arm(this.#heartbeat, limits.heartbeatIntervalMs);
    this.#sender.start(transport, this.#session);
    this.#observer.onOpen(this);
    if (this.#wantsClose) this.#drain();
    const early = this.#early;
    this.#early = EMPTY;
    if (early.length > 0) this.onData(early);
    if (this.#ended) this.#finishIfEnded();
  }

  // ---- What arrives -------------------------------------------------------------------------------------

  /** FrameSink: reading stops above the limit of handlers, and while replies above the hard limit wait. */
  demand(): number {
    return this.#kept.length > 0 ? 0 : this.#handlersLeft();
  }

  #handlersLeft(): number {
    const { maxConcurrentHandlers, maxPendingBytes } = this.#context.limits;
    if (this.#running > maxConcurrentHandlers || this.#sender.pendingBytes > maxPendingBytes) return 0;
    return maxConcurrentHandlers + 1 - this.#running;
  }

  frames(start: number, end: number, count: number): void {
    const session = this.#session!;
    let frame = start;
    if (session.opensNatively(end - start, count)) {
      for (let i = 0; i < count && this.#state !== "closed"; i++) {
        const plaintext = session.openFrame(frame);
        if (plaintext === undefined) throw new SealwireError("ERR_DECRYPT", "a frame did not authenticate");
        frame += LENGTH_BYTES + readU32(memory, frame);
        this.#deliverPlaintext(plaintext, 0, plaintext.length);
        // Bodies as views end with their handlers: nobody needs it any more.
        if (this.#context.bodyViews) wipeAndRelease(plaintext);
      }
      return;
    }
    const opened = session.open(start, end, count);
    for (let i = 0; i < opened; i++) {
      const next = frame + LENGTH_BYTES + readU32(memory, frame);
      this.#deliverPlaintext(memory, frame + LENGTH_BYTES, next - TAG_BYTES);
      if (this.#state === "closed") return;
      frame = next;
    }
    if (opened < count) throw new SealwireError("ERR_DECRYPT", "a frame did not authenticate");
  }

  largeFrame(chunks: readonly Uint8Array[]): void {
    const into = this.#context.bodyViews ? takeScratch(totalLength(chunks)) : undefined;
    const plaintext = this.#session!.openLarge(chunks, into);
    if (plaintext === null) throw new SealwireError("ERR_DECRYPT", "a frame did not authenticate");
    this.#deliverPlaintext(plaintext, 0, plaintext.length);
    if (into !== undefined) returnScratch(into, plaintext.length);
  }

  /** One frame's plaintext: header ‖ body (‖ padding), in linear memory or in memory of its own. */
  #deliverPlaintext(bytes: Uint8Array, start: number, end: number): void {
    const sequence = readU32(bytes, start);
    const bodyStart = start + this.#headerBytes;
    if (!this.#withKind) {
      this.#dispatch(sequence, this.#kindOf(sequence), bytes, bodyStart, end);
      return;
    }
    let kind = bytes[bodyStart - 1]!;
    if (kind >= PADDED_FLAG) {
      end -= this.#padBytes(bytes, bodyStart, end);
      kind -= PADDED_FLAG;
    }
    if (kind === Kind.bundle) this.#deliverBundle(bytes, bodyStart, end);
    else if (this.#kept.length === 0 && this.#handlersLeft() > 0)
      this.#dispatch(sequence, kind, bytes, bodyStart, end);
    else this.#kept.push({ bytes: asRecord(sequence, kind, bytes.subarray(bodyStart, end)), at: 0 });
  }

  /**
   * Frames are taken by demand, but a bundle holds many messages: those that come after the limit of handlers was
   * reached are kept, and so is every frame behind them. One copy for all, so that what a peer can make this side
   * keep is no more than what it sent.
   */
  #deliverBundle(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) throw new SealwireError("ERR_PROTOCOL", "an empty bundle");
    const rest = this.#kept.length === 0 ? this.#deliverRecords(bytes, start, end) : start;
    if (rest === end) return;
    const view = viewOf(bytes, rest, end);
    const kept = this.#isLent(bytes) ? view.slice() : view;
    this.#kept.push({ bytes: kept, at: 0 });
  }

  /**
   * Handles records ( u32be n ‖ n bytes: u32be sequence ‖ u8 kind ‖ body )… while there is room among the handlers.
   * Returns where the first one begins that has to wait; `end` if none has to.
   */
  #deliverRecords(bytes: Uint8Array, start: number, end: number): number {
    // Bodies are copied out of a large frame: a short one would hold on to the whole of it.
    const copied = !this.#isLent(bytes) && bytes.buffer.byteLength > WINDOW_FRAME_BYTES;
    let record = start;
    while (record < end && this.#handlersLeft() > 0) {
      const bodyStart = record + LENGTH_BYTES + KIND_HEADER_BYTES;
      const next = record + LENGTH_BYTES + readU32(bytes, record);
      if (bodyStart > end || next < bodyStart || next > end) {
        throw new SealwireError("ERR_PROTOCOL", "a bundle whose records do not fill it");
      }
      const sequence = readU32(bytes, record + LENGTH_BYTES);
      const kind = bytes[bodyStart - 1]!;
      if (copied) this.#dispatch(sequence, kind, viewOf(bytes, bodyStart, next).slice(), 0, next - bodyStart);
      else this.#dispatch(sequence, kind, bytes, bodyStart, next);
      if (this.#state === "closed") return end;
      record = next;
    }
    return record;
  }

  /** Whether bytes that are handled now are used otherwise, or gone, afterwards. */
  #isLent(bytes: Uint8Array): boolean {
    return bytes === memory || this.#context.bodyViews;
  }

  /** Handles what was kept, as far as there is room now. */
  #deliverKept(): void {
    let done = 0;
    while (done < this.#kept.length && this.#handlersLeft() > 0) {
      const kept = this.#kept[done]!;
      kept.at = this.#deliverRecords(kept.bytes, kept.at, kept.bytes.length);
      if (this.#state === "closed") return;
      if (kept.at === kept.bytes.length) done++;
    }
    if (done > 0) this.#kept.splice(0, done);
  }

  /** Protocol v1: the sequence number says what a frame is. */
  #kindOf(sequence: number): number {
    return sequence !== 0 && this.#isMine(sequence) ? Kind.reply : Kind.message;
  }

  #isMine(sequence: number): boolean {
    return ((sequence & 1) === 1) === (this.#role === "client");
  }

  #padBytes(bytes: Uint8Array, start: number, end: number): number {
    const padBytes = end - start >= PAD_LENGTH_BYTES ? (bytes[end - 2]! << 8) | bytes[end - 1]! : 0;
    if (padBytes < PAD_LENGTH_BYTES || padBytes > end - start) {
      throw new SealwireError("ERR_PROTOCOL", "impossible padding");
    }
    return padBytes;
  }

  /** The body is bytes [start, end): of linear memory, valid during the call, or of memory that nobody else uses. */
  #dispatch(sequence: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    this.#framesSeen = true;
    if (this.#peerClosed) throw new SealwireError("ERR_PROTOCOL", "a frame after the peer's close");
    switch (kind) {
      case Kind.message:
        this.#handleMessage(sequence, bytes, start, end);
        return;
      case Kind.reply:
        this.#handleReply(sequence, bytes, start, end);
        return;
      case Kind.error:
        this.#takeRequest(sequence)?.reject(decodeError(bytes.slice(start, end)));
        this.#finishIfIdle();
        return;
      case Kind.cancel:
        this.#watchedRequests
          .get(sequence)
          ?.cancel(new SealwireError("ERR_ABORTED", "the caller no longer waits for the answer"));
        return;
      case Kind.ping:
        if (!this.#closeSent) this.#sender.append(sequence, Kind.pong, EMPTY);
        return;
      case Kind.pong:
        return;
      case Kind.drain:
        this.#peerDrained = true;
        this.#drain();
        return;
      case Kind.close:
        this.#peerClosed = true;
        this.#requests.rejectAll(
          new SealwireError("ERR_CONNECTION_LOST", "the peer closed without answering"),
        );
        this.#drain();
        return;
      default:
        throw new SealwireError("ERR_PROTOCOL", `a frame of unknown kind ${kind}`);
    }
  }

  #handleMessage(sequence: number, bytes: Uint8Array, start: number, end: number): void {
    if (sequence !== 0 && this.#isMine(sequence)) {
      throw new SealwireError("ERR_PROTOCOL", "a request with a number of this side's parity");
    }
    const { onMessage, bodyViews } = this.#context;
    const message =
      bodyViews && sequence === 0
        ? this.#lentMessage(bytes, start, end)
        : this.#newMessage(sequence, bytes, start, end);
    if (onMessage === undefined) {
      this.#replyError(message, "ERR_NO_HANDLER", "this side handles no messages");
      return;
    }
    let result: unknown;
    try {
      result = onMessage(message);
    } catch (error) {
      this.#handlerFailed(error, message);
      return;
    }
    if (isPromise(result)) this.#runAsync(result, message);
    else if (bodyViews && sequence === 0 && !message.watched) this.#spare = message;
  }

  #newMessage(sequence: number, bytes: Uint8Array, start: number, end: number): IncomingMessage {
    if (this.#context.bodyViews || bytes !== memory)
      return new IncomingMessage(this, sequence, bytes, start, end);
    const body = copyBody(bytes, start, end);
    return new IncomingMessage(this, sequence, body, 0, body.length);
  }

  /** A one-way message with a view as its body ends when its handler returns: the next one is the same object. */
  #lentMessage(bytes: Uint8Array, start: number, end: number): IncomingMessage {
    const message = this.#spare;
    if (message === undefined) return new IncomingMessage(this, 0, bytes, start, end);
    this.#spare = undefined;
    message.reuse(bytes, start, end);
    return message;
  }

  #runAsync(result: PromiseLike<unknown>, message: IncomingMessage): void {
    this.#running++;
    if (message.expectsReply) this.watch(message);
    result.then(
      () => this.#handlerDone(message),
      (error) => {
        this.#handlerFailed(error, message);
        this.#handlerDone(message);
      },
    );
  }

  #handlerDone(message: IncomingMessage): void {
    this.#running--;
    if (message.watched) this.unwatch(message);
    this.#scheduleResume();
    this.#finishIfIdle();
  }

  #handlerFailed(error: unknown, message: IncomingMessage): void {
    if (message.expectsReply && this.#withKind) {
      const {
        code,
        message: text,
        stack,
      } = Object(error) as { code?: unknown; message?: unknown; stack?: unknown };
      const shown = this.#context.exposeStacks && typeof stack === "string" ? stack : (text ?? error);
      this.#replyError(message, typeof code === "string" ? code : "ERR_HANDLER", String(shown));
    }
    callListener("onHandlerError", this.#context.onHandlerError, error, message);
  }

  #replyError(message: IncomingMessage, code: string, text: string): void {
    if (!message.expectsReply || !this.#withKind || !this.#canSend()) return;
    const body = encodeError(code, text);
    const fits = body.length <= this.#longestBody;
    this.#sender.append(message.sequence, Kind.error, fits ? body : encodeError(code.slice(0, 16), ""));
    message.markAnswered();
  }

  #handleReply(sequence: number, bytes: Uint8Array, start: number, end: number): void {
    const request = this.#takeRequest(sequence);
    if (request === undefined) return;
    const { into } = request;
    if (into === undefined) {
      request.resolve(this.#isLent(bytes) ? copyBody(bytes, start, end) : viewOf(bytes, start, end));
    } else {
      const answer = bytes.subarray(start, end);
      if (answer.length > into.length) {
        const text = `the answer has ${answer.length} bytes, the caller's buffer ${into.length}`;
        request.reject(new SealwireError("ERR_MESSAGE_TOO_LARGE", text));
      } else {
        into.set(answer);
        request.resolve(into.subarray(0, answer.length));
      }
    }
    this.#finishIfIdle();
  }

  #takeRequest(sequence: number): PendingRequest | undefined {
    const request = this.#isMine(sequence) ? this.#requests.take(sequence) : undefined;
    if (request === undefined) this.droppedReplies++;
    return request;
  }

  /** MessageOwner: the answer of a handler. */
  reply(sequence: number, body: Uint8Array): boolean {
    this.#checkBody(body);
    if (!this.#canSend()) return false;
    this.#sender.append(sequence, Kind.reply, body);
    return true;
  }

  #canSend(): boolean {
    return this.#state !== "closed" && !this.#closeSent;
  }

  watch(message: IncomingMessage): void {
    if (this.#state === "closed") {
      message.cancel(new SealwireError("ERR_CONNECTION_LOST", "the connection is gone"));
      return;
    }
    message.watched = true;
    if (message.sequence === 0) this.#watchedMessages.add(message);
    else this.#watchedRequests.set(message.sequence, message);
  }

  unwatch(message: IncomingMessage): void {
    message.watched = false;
    if (message.sequence === 0) this.#watchedMessages.delete(message);
    else if (this.#watchedRequests.get(message.sequence) === message)
      this.#watchedRequests.delete(message.sequence);
  }

  // ---- Reading pauses and goes on -----------------------------------------------------------------------

  #afterRead(): void {
    this.#sender.release();
    if (this.#state === "closed" || this.#paused || (!this.#reader.stalled && this.demand() > 0)) return;
    this.#paused = true;
    this.#transport?.pause();
    // What made the demand 0 may be over by now: never wait for an event that has already happened.
    if (this.#handlersLeft() > 0) this.#scheduleResume();
  }

  #scheduleResume(): void {
    if (this.#resumeScheduled || this.#state === "closed" || !this.#paused) return;
    this.#resumeScheduled = true;
    this.#context.turns.add(this.#resumeTask);
  }

  #resumeReading(): void {
    this.#resumeScheduled = false;
    if (this.#state === "closed" || this.#handlersLeft() === 0) return;
    this.#sender.hold();
    try {
      this.#deliverKept();
      this.#reader.resume();
    } catch (error) {
      this.#shutdown(error);
    }
    this.#sender.release();
    if (this.state === "closed") return;
    if (this.#reader.stalled || this.demand() === 0) {
      if (this.#handlersLeft() > 0) this.#scheduleResume();
      return;
    }
    this.#paused = false;
    this.#transport?.resume();
    if (this.#ended) this.#finishIfEnded();
    this.#finishIfIdle();
  }

  // ---- Signs of life ------------------------------------------------------------------------------------

  #checkRead(): void {
    const { readTimeoutMs } = this.#context.limits;
    const idleMs = performance.now() - this.#lastReceivedAt;
    if (this.#paused) timers.arm(this.#readDeadline, readTimeoutMs);
    else if (idleMs < readTimeoutMs) timers.arm(this.#readDeadline, readTimeoutMs - idleMs);
    else this.#fail("ERR_READ_TIMEOUT", `nothing arrived for ${readTimeoutMs} ms`);
  }

  #checkHeartbeat(): void {
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = this.#context.limits;
    const now = performance.now();
    const idleMs = now - this.#lastReceivedAt;
    if (this.#lastReceivedAt >= this.#pingedAt) this.#pingedAt = 0;
    if (this.#paused) {
      // This side does not read now, so it can't see pings either: an unasked pong says that it lives.
      this.#pingedAt = 0;
      if (this.#canSend()) this.#sender.append(0, Kind.pong, EMPTY);
      timers.arm(this.#heartbeat, heartbeatIntervalMs);
    } else if (this.#pingedAt !== 0) {
      this.#fail("ERR_READ_TIMEOUT", `no sign of life for ${Math.round(idleMs)} ms`);
    } else if (idleMs < heartbeatIntervalMs) {
      timers.arm(this.#heartbeat, heartbeatIntervalMs - idleMs);
    } else {
      this.#pingedAt = now;
      if (this.#canSend()) this.#sender.append(0, Kind.ping, EMPTY);
      timers.arm(this.#heartbeat, heartbeatTimeoutMs);
    }
  }

  // ---- The end ------------------------------------------------------------------------------------------

  /** Nothing new from this side; finish what there is. Said once. */
  #drain(): void {
    if (this.#state === "open") {
      this.#state = "draining";
      if (!this.#drainDeadline.armed) timers.arm(this.#drainDeadline, this.#context.limits.drainTimeoutMs);
      if (this.#withKind) this.#sender.append(0, Kind.drain, EMPTY);
      this.#observer.onDraining(this);
    }
    this.#finishIfIdle();
  }

  /** Sends the close and ends the stream once nothing is in flight on this side. */
  #finishIfIdle(): void {
    if (this.#state !== "draining" || this.#closeSent) return;
    if (this.#requests.size > 0 || this.#running > 0) return;
    if (this.#withKind && !this.#peerDrained && !this.#peerClosed) return;
    this.#closeSent = true;
    if (this.#withKind) this.#sender.append(0, Kind.close, EMPTY);
    this.#sender.handedToKernel().then(
      () => {
        if (this.#state === "closed") return;
        this.#transport?.end();
        this.#finishIfEnded();
      },
      () => {}, // the connection was lost meanwhile, and whoever waits was told
    );
  }

  /** The peer's stream has ended and everything before its end was handled. */
  #finishIfEnded(): void {
    if (!this.#ended || this.#state === "closed" || this.#paused) return;
    if (this.#reader.hasUnread || (this.#withKind && !this.#peerClosed)) {
      this.#shutdown(this.#lost("the peer's stream was cut"));
      return;
    }
    if (!this.#closeSent) {
      // Protocol v1: the end of the stream is the peer's way to say that it closes.
      this.#requests.rejectAll(new SealwireError("ERR_CONNECTION_LOST", "the peer closed without answering"));
      this.#drain();
    } else if (this.#sender.pendingBytes === 0) {
      this.#shutdown(undefined);
    }
  }

  #fail(code: ErrorCode, text: string): void {
    this.#shutdown(new SealwireError(code, text));
  }

  /** Ends everything now. `reason` undefined: it ended in good order. */
  #shutdown(reason: unknown): void {
    if (this.#state === "closed") return;
    const before = this.#state;
    this.#state = "closed";
    const error = this.#typed(reason, before);
    const lost = error ?? new SealwireError("ERR_CLOSED", "the connection was closed");
    for (const deadline of [
      this.#handshakeDeadline,
      this.#readDeadline,
      this.#heartbeat,
      this.#drainDeadline,
    ]) {
      timers.cancel(deadline);
    }
    this.#reader.stop();
    this.#early = EMPTY;
    this.#kept = [];
    const callError = OWN_REASONS.has(lost.code)
      ? lost
      : new SealwireError("ERR_CONNECTION_LOST", `the connection was lost: ${lost.message}`, { cause: lost });
    this.#requests.rejectAll(callError);
    this.#sender.close(callError);
    this.#handshake?.destroy();
    this.#handshake = undefined;
    this.#session?.destroy();
    for (const message of this.#watchedRequests.values()) message.cancel(callError);
    for (const message of this.#watchedMessages) message.cancel(callError);
    this.#watchedRequests.clear();
    this.#watchedMessages.clear();
    if (this.#transport !== undefined) this.#transport.destroy();
    else this.#cancelDial?.();
    this.#observer.onClosed(this, error);
  }

  #typed(reason: unknown, state: ConnectionState): SealwireError | undefined {
    if (reason === undefined) return undefined;
    const error =
      reason instanceof SealwireError
        ? reason
        : new SealwireError("ERR_CONNECTION_LOST", "the connection failed", { cause: reason });
    if (state !== "handshaking" || OWN_REASONS.has(error.code)) return error;
    return new SealwireError("ERR_HANDSHAKE", `the handshake failed: ${error.message}`, { cause: error });
  }
}

function checkRequestOptions(options: RequestOptions): RequestOptions {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object");
  const { signal, timeoutMs, into } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidArgument("signal", "an AbortSignal");
  if (into !== undefined && !(into instanceof Uint8Array)) throw invalidArgument("into", "a Uint8Array");
  if (timeoutMs !== undefined) integerOption("timeoutMs", timeoutMs, 0, 0x7fffffff);
  return options;
}
