// Takes one connection through its life, as its socket reports events: the dial, the handshake, the open connection and
// the end. establishing.ts runs the handshake. Afterwards bytes go through the parts that linkParts.ts makes.

import { SealwireError } from "../base/errors.ts";
import type { PeerIdentity } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import { memory, RECEIVE_BUFFER } from "../core/wasmModule.ts";
import type { HandshakeResult, Role } from "../protocol/handshake.ts";
import { wipeReceiveMemory } from "../protocol/receiveMemory.ts";
import { Session } from "../protocol/session.ts";
import { Announcements } from "./announcements.ts";
import type { Arrivals } from "./arrivals.ts";
import { callError, closedReason, lostReason, typedReason } from "./closeReason.ts";
import { tellEnded } from "./connectionEnds.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { CallbackDeadline } from "./deadline.ts";
import { Establishing, type EstablishingEvents } from "./establishing.ts";
import type { Inbox } from "./inbox.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LingeringClose, sayWhy } from "./lingeringClose.ts";
import { LinkParts } from "./linkParts.ts";
import type { Outbox } from "./outbox.ts";
import type { Connection } from "./peer.ts";
import type { RequestTable } from "./requests.ts";
import { timers } from "./timers.ts";
import type { DialEvents, Transport } from "./transport.ts";

/** `Owner`: the connection object of the client or server. */
export class Link<Owner extends Connection> implements DialEvents {
  readonly #role: Role;
  readonly #context: ConnectionContext;
  readonly #observer: ConnectionObserver<Owner>;
  readonly #connection: Owner;
  readonly #withKind: boolean;
  readonly lifecycle: Lifecycle;
  readonly requests: RequestTable;
  readonly outbox: Outbox;
  readonly arrivals: Arrivals;
  readonly inbox: Inbox;
  readonly #parts: LinkParts;
  readonly #handshakeDeadline: CallbackDeadline;
  readonly #announcements: Announcements;

  #cancelDial: (() => void) | undefined;
  #transport: Transport | undefined;
  #establishing: Establishing | undefined;
  #session: Session | undefined;
  /** The peer's identity, once the peer has proven it. */
  identity: PeerIdentity | undefined;
  #unprovenIdentity: PeerIdentity | undefined;
  #lingering: LingeringClose | undefined;
  #keepsAlive = true;
  /** Bytes that arrived on the socket. */
  receivedBytes = 0;
  readonly #whenGone: Promise<void>;
  #resolveGone!: () => void;

  constructor(
    role: Role,
    context: ConnectionContext,
    observer: ConnectionObserver<Owner>,
    connection: Owner,
  ) {
    const { limits, handshake } = context;
    this.#role = role;
    this.#context = context;
    this.#observer = observer;
    this.#connection = connection;
    this.#withKind = handshake.format.header === "kind";
    this.#whenGone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    this.#announcements = new Announcements((state, error) => observer.tell(connection, state, error));
    this.#parts = this.#makeParts();
    const { lifecycle, requests, outbox, arrivals, inbox } = this.#parts;
    this.lifecycle = lifecycle;
    this.requests = requests;
    this.outbox = outbox;
    this.arrivals = arrivals;
    this.inbox = inbox;
    this.#handshakeDeadline = new CallbackDeadline(() =>
      this.#fail("ERR_HANDSHAKE_TIMEOUT", `no complete handshake within ${limits.handshakeTimeoutMs} ms`),
    );
  }

  #makeParts(): LinkParts {
    return new LinkParts(this.#role, this.#context, this.#connection, {
      onIdle: () => this.#writerIdle(),
      onStall: () => {
        const { writeTimeoutMs } = this.#context.limits;
        this.#fail("ERR_WRITE_TIMEOUT", `the peer took no bytes for ${writeTimeoutMs} ms`);
      },
      onSilence: (text) => this.#fail("ERR_READ_TIMEOUT", text),
      onProven: () => this.#open(),
      onRoom: () => this.#observer.onRoom?.(),
      onDraining: () => {
        this.#observer.onDraining(this.#connection);
        this.#announcements.add("draining");
      },
      onAllWritten: () => this.#transport?.end(),
      onCut: (text) => this.shutdown(lostReason(this.lifecycle, text)),
      onEnd: (error) => this.shutdown(error),
    });
  }

  get remoteAddress(): string {
    return this.#transport?.remoteAddress ?? "";
  }

  /** Bytes passed to the socket. */
  get sentBytes(): number {
    return this.#parts.writer.sentBytes;
  }

  /** Closes in good order; resolves when the socket is gone. */
  close(): Promise<void> {
    this.#announcements.inCall(() => this.#parts.ending.begin());
    return this.#whenGone;
  }

  /**
   * Whether the connection keeps the process alive while it is idle. An operation that ends by itself (a dial, a
   * handshake, a request with a time limit, a write, a close) always does.
   */
  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.#transport?.keepAlive?.(on);
    this.#parts.liveness.keepAlive(on);
  }

  // ---- What the socket tells ----------------------------------------------------------------------------

  /** Stores the function that cancels the dial. */
  dialling(cancel: () => void): void {
    this.#cancelDial = cancel;
  }

  onConnected(transport: Transport): void {
    this.#cancelDial = undefined;
    this.#transport = transport;
    if (this.lifecycle.isOver) return transport.destroy();
    if (!this.#keepsAlive) transport.keepAlive?.(false);
    this.lifecycle.connected();
    this.#parts.writer.attach(transport);
    this.#observer.onSocket(this.#connection);
    const { limits, handshake, dialledAddress } = this.#context;
    if (limits.handshakeTimeoutMs > 0) timers.arm(this.#handshakeDeadline, limits.handshakeTimeoutMs);
    try {
      const remoteAddress = dialledAddress ?? transport.remoteAddress;
      this.#establish(handshake.create(this.#role, { remoteAddress }), transport);
    } catch (error) {
      this.shutdown(error);
      return;
    }
    if (!this.lifecycle.isOver && !this.#establishing?.waits) transport.resume();
  }

  onReceiveBuffer(length: number): void {
    const at = now();
    this.#heard(length, at);
    if (this.#parts.intake !== undefined) this.#parts.intake.takeReceiveBuffer(length, at);
    else this.#establishing?.receive(memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + length));
  }

  onData(bytes: Uint8Array, polled?: boolean): void {
    const at = now();
    this.#heard(bytes.length, at);
    if (this.#parts.intake !== undefined) this.#parts.intake.read(bytes, at, polled);
    else this.#establishing?.receive(bytes);
  }

  onWritten(): void {
    this.#context.flushes.eventSeen();
    this.#parts.writer.onWritten();
    this.#lingering?.written();
  }

  onEnd(): void {
    if (this.lifecycle.isOver) return this.#lingering?.finish();
    this.lifecycle.peerStreamEnded();
    if (this.#parts.intake !== undefined) this.#parts.ending.finishIfEnded();
    else this.#establishing?.peerStreamEnded();
  }

  onClose(error?: unknown): void {
    if (this.lifecycle.state === "gone") return;
    if (!this.lifecycle.isOver)
      this.shutdown(closedReason(this.lifecycle, this.#context.dialledAddress, error));
    this.#lingering?.stop();
    this.#announcements.tellAll();
    this.lifecycle.leave();
    this.#parts.writer.releaseMemory();
    this.#resolveGone();
    this.#observer.onGone(this.#connection);
  }

  #heard(bytes: number, at: number): void {
    this.receivedBytes += bytes;
    this.#context.flushes.eventSeen();
    this.#context.resumptions.eventSeen();
    this.#parts.liveness.heard(at);
    this.#lingering?.received(bytes);
  }

  #writerIdle(): void {
    if (this.#establishing !== undefined) this.#establishing.advance();
    else this.outbox.sender.written();
  }

  // ---- The handshake ------------------------------------------------------------------------------------

  #establish(handshake: ReturnType<ConnectionContext["handshake"]["create"]>, transport: Transport): void {
    const turns = this.#role === "server" ? this.#context.rounds.handshakes : undefined;
    const events: EstablishingEvents = {
      onKeys: (result, early) => this.#keyed(result, early, transport),
      onFailure: (error) => this.shutdown(error),
      onReading: (on) => (on ? transport.resume() : transport.pause()),
    };
    this.#establishing = new Establishing(handshake, this.#parts.writer, events, turns);
    this.#establishing.advance();
  }

  #keyed(result: HandshakeResult, early: Uint8Array, transport: Transport): void {
    const { handshake, engine } = this.#context;
    const session = new Session(result, handshake.format, engine);
    this.#session = session;
    this.#establishing = undefined;
    this.#parts.makeIntake(session, transport, result.confirm);
    this.lifecycle.keyed();
    this.#unprovenIdentity = result.identity;
    // Protocol v2 opens with the peer's settings, which prove that the peer has the keys of this session. A server that
    // spoke last in the handshake has read only bytes that anybody may have recorded.
    if (this.#withKind) this.#parts.sendSettings(session);
    else {
      this.outbox.sender.start(session);
      this.#parts.proved();
    }
    if (this.lifecycle.isOver) return;
    if (early.length > 0) {
      this.receivedBytes -= early.length; // they were counted when they arrived
      this.onData(early);
    }
    if (this.lifecycle.streamEnded) this.#parts.ending.finishIfEnded();
  }

  /** The peer is proven, as far as the protocol proves it. */
  #open(): void {
    if (!this.lifecycle.opened()) return;
    timers.cancel(this.#handshakeDeadline);
    this.identity = this.#unprovenIdentity;
    this.#parts.liveness.start(this.#withKind);
    this.#observer.onOpen(this.#connection);
    if (this.lifecycle.closeWanted) this.#parts.ending.drain();
  }

  // ---- The end ------------------------------------------------------------------------------------------

  #fail(code: ConstructorParameters<typeof SealwireError>[0], text: string): void {
    this.shutdown(new SealwireError(code, text));
  }

  /** `isTold`: the peer may be about to read the reason. */
  #closeSocket(isTold: boolean): void {
    const { drainTimeoutMs } = this.#context.limits;
    if (this.#transport === undefined) this.#cancelDial?.();
    else if (!isTold || drainTimeoutMs === 0) this.#transport.destroy();
    else this.#lingering = new LingeringClose(this.#transport, !this.#parts.writer.busy, drainTimeoutMs);
  }

  /**
   * Ends everything now, except a socket whose peer gets the reason. `reason` is undefined if it ended in good order.
   */
  shutdown(reason: unknown): void {
    const before = this.lifecycle.state;
    if (!this.lifecycle.close()) return;
    const error = typedReason(reason, before);
    const forCalls = callError(error, before === "dialing" || before === "handshaking");
    // Records of a proven peer may wait for the application to confirm it. A close tells that none of them was begun.
    const isProven = before === "open" || before === "draining" || this.inbox.held;
    const isTold = isProven && sayWhy(this.#parts, error);
    timers.cancel(this.#handshakeDeadline);
    this.#parts.liveness.stop();
    this.#parts.ending.stop();
    this.#establishing?.destroy();
    this.#parts.intake?.close();
    this.requests.rejectAll(() => forCalls);
    this.outbox.close(forCalls);
    this.#parts.writer.close();
    this.#session?.destroy();
    wipeReceiveMemory();
    this.#closeSocket(isTold);
    this.#observer.onClosed(this.#connection, error);
    this.#announcements.add("closed", error);
    // Last, because signals run code of the application.
    this.arrivals.end(forCalls);
    tellEnded(this.#connection);
  }
}
