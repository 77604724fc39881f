// What a socket tells one connection, and what follows from it: first the handshake (establishing.ts), then what
// arrives (intake.ts, inbox.ts) and what leaves (outbox.ts), and the end (ending.ts). Here they are wired together.

import { SealwireError } from "../base/errors.ts";
import type { PeerIdentity } from "../base/options.ts";
import { memory, RECEIVE_WINDOW } from "../core/wasmModule.ts";
import type { HandshakeResult, Role } from "../protocol/handshake.ts";
import { wipeReceiveMemory } from "../protocol/receiveMemory.ts";
import { Session } from "../protocol/session.ts";
import { encodeSettings } from "../protocol/settings.ts";
import { Kind } from "../protocol/wire.ts";
import { Announcements } from "./announcements.ts";
import { Arrivals } from "./arrivals.ts";
import { callError, lostInHandshake, typedReason } from "./closeReason.ts";
import { tellEnded } from "./connectionEnds.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { dialFailed } from "./dialError.ts";
import { Ending } from "./ending.ts";
import { Establishing } from "./establishing.ts";
import { Inbox } from "./inbox.ts";
import { Intake } from "./intake.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Liveness } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import type { Connection } from "./peer.ts";
import { RequestTable } from "./requests.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { DialEvents, Transport } from "./transport.ts";
import { Writer } from "./writer.ts";

/** `Owner`: the connection as its client or server knows it. */
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
  readonly #writer: Writer;
  readonly #ending: Ending;
  readonly #liveness: Liveness;
  readonly #handshakeDeadline: CallbackDeadline;

  readonly #announcements: Announcements;

  #cancelDial: (() => void) | undefined;
  #transport: Transport | undefined;
  #establishing: Establishing | undefined;
  #session: Session | undefined;
  #intake: Intake | undefined;
  /** Who the peer is once it has proven it. */
  identity: PeerIdentity | undefined;
  #unprovenIdentity: PeerIdentity | undefined;
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
    this.lifecycle = new Lifecycle(this.#withKind);
    const first = role === "client" ? 1 : 2;
    this.requests = new RequestTable(first, limits.maxInFlightRequests, this.#withKind, (sequence) =>
      this.#requestAbandoned(sequence),
    );
    this.#announcements = new Announcements((state, error) => observer.tell(connection, state, error));
    this.#writer = new Writer(limits.writeTimeoutMs, {
      onIdle: () => this.#writerIdle(),
      onStall: () =>
        this.#fail("ERR_WRITE_TIMEOUT", `the peer took no bytes for ${limits.writeTimeoutMs} ms`),
    });
    this.outbox = this.#makeOutbox();
    this.arrivals = this.#makeArrivals();
    this.inbox = this.#makeInbox();
    this.#ending = this.#makeEnding();
    this.#liveness = this.#makeLiveness();
    this.#handshakeDeadline = new CallbackDeadline(() =>
      this.#fail("ERR_HANDSHAKE_TIMEOUT", `no complete handshake within ${limits.handshakeTimeoutMs} ms`),
    );
  }

  get remoteAddress(): string {
    return this.#transport?.remoteAddress ?? "";
  }

  /** Bytes given to the socket. */
  get sentBytes(): number {
    return this.#writer.sentBytes;
  }

  /** Closes in good order; resolves when the socket is gone. */
  close(): Promise<void> {
    this.#announcements.inCall(() => this.#ending.begin());
    return this.#whenGone;
  }

  /**
   * Whether the connection keeps the process alive while it is idle. What has an end of its own (a dial, a handshake,
   * a request with a time limit, a write, closing) always does until then.
   */
  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.#transport?.keepAlive?.(on);
    this.#liveness.keepAlive(on);
  }

  // ---- What the socket tells ----------------------------------------------------------------------------

  /** How to give up dialling. */
  dialling(cancel: () => void): void {
    this.#cancelDial = cancel;
  }

  onConnected(transport: Transport): void {
    this.#cancelDial = undefined;
    this.#transport = transport;
    if (this.lifecycle.isOver) {
      transport.destroy();
      return;
    }
    if (!this.#keepsAlive) transport.keepAlive?.(false);
    this.lifecycle.connected();
    this.#writer.open(transport);
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
    if (!this.lifecycle.isOver && !this.#establishing?.deciding) transport.resume();
  }

  onWindow(length: number): void {
    this.#heard(length);
    if (this.#intake !== undefined) this.#intake.readWindow(length);
    else this.#establishing?.receive(memory.subarray(RECEIVE_WINDOW, RECEIVE_WINDOW + length));
  }

  onData(bytes: Uint8Array): void {
    this.#heard(bytes.length);
    if (this.#intake !== undefined) this.#intake.read(bytes);
    else this.#establishing?.receive(bytes);
  }

  onWritten(): void {
    this.#context.flushes.eventSeen();
    this.#writer.onWritten();
  }

  onEnd(): void {
    if (this.lifecycle.isOver) return;
    this.lifecycle.peerStreamEnded();
    if (this.#intake !== undefined) this.#ending.finishIfEnded();
    else if (!this.#establishing?.deciding) this.shutdown(lostInHandshake(undefined));
  }

  onClose(error?: unknown): void {
    if (this.lifecycle.state === "gone") return;
    if (!this.lifecycle.isOver) this.shutdown(this.#closeReason(error));
    this.#announcements.tellAll();
    this.lifecycle.leave();
    this.#writer.releaseMemory();
    this.#resolveGone();
    this.#observer.onGone(this.#connection);
  }

  #heard(bytes: number): void {
    this.receivedBytes += bytes;
    this.#context.flushes.eventSeen();
    this.#context.resumptions.eventSeen();
    this.#liveness.heard();
  }

  #writerIdle(): void {
    if (this.#establishing !== undefined) this.#establishing.advance();
    else this.outbox.sender.flush();
  }

  // ---- The handshake ------------------------------------------------------------------------------------

  #establish(handshake: ReturnType<ConnectionContext["handshake"]["create"]>, transport: Transport): void {
    this.#establishing = new Establishing(handshake, this.#writer, {
      onKeys: (result, early) => this.#keyed(result, early, transport),
      onFailure: (error) => this.shutdown(error),
      onDeciding: (decided) => {
        if (decided) transport.resume();
        else transport.pause();
      },
    });
    this.#establishing.advance();
  }

  #keyed(result: HandshakeResult, early: Uint8Array, transport: Transport): void {
    const { handshake, engine } = this.#context;
    const session = new Session(result, handshake.format, engine);
    this.#session = session;
    this.#establishing = undefined;
    this.#intake = this.#makeIntake(session, transport);
    this.lifecycle.keyed();
    this.#unprovenIdentity = result.identity;
    // Protocol v2 opens with the peer's settings, which prove that it has the keys of this session: a server that spoke
    // last in the handshake has read only what anybody may have recorded.
    if (this.#withKind) this.#sendSettings(session);
    else {
      this.outbox.sender.start(session);
      this.#open();
    }
    if (this.lifecycle.isOver) return;
    if (early.length > 0) {
      this.receivedBytes -= early.length; // counted when they arrived
      this.onData(early);
    }
    if (this.lifecycle.streamEnded) this.#ending.finishIfEnded();
  }

  #sendSettings(session: Session): void {
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

  /** The peer is proven, as far as the protocol proves it. */
  #open(): void {
    if (!this.lifecycle.opened()) return;
    timers.cancel(this.#handshakeDeadline);
    this.identity = this.#unprovenIdentity;
    this.#liveness.start(this.#withKind);
    this.#observer.onOpen(this.#connection);
    if (this.lifecycle.closeWanted) this.#ending.drain();
  }

  // ---- The parts ----------------------------------------------------------------------------------------

  #makeOutbox(): Outbox {
    const { limits, handshake, flushes, resumptions } = this.#context;
    return new Outbox(limits, handshake.format, this.lifecycle, this.requests, flushes, this.#writer, {
      onNothingWaits: () => this.#ending.sayDrain(),
      onRelief: () => {
        this.#intake?.schedule();
        this.arrivals.credit.grant();
      },
      // What failed may run inside a call of the application, which must not find its connection closed under it.
      onFailure: (error) =>
        resumptions.add({
          endOfTurn: () => this.shutdown(error),
          endOfTurnFailed: (other) => this.shutdown(other),
        }),
    });
  }

  #makeArrivals(): Arrivals {
    const { limits } = this.#context;
    const options = { ...this.#context, ...limits, maxItemBytes: limits.maxFrameBytes };
    const { lifecycle, outbox } = this;
    const peers = { connection: this.#connection, lifecycle, outbox };
    return new Arrivals(this.#role, this.#withKind, options, peers, {
      onSettled: () => {
        this.#intake?.schedule();
        this.#ending.finishIfIdle();
      },
      onRoom: () => this.#intake?.schedule(),
    });
  }

  #makeInbox(): Inbox {
    const { lifecycle, requests, outbox, arrivals } = this;
    return new Inbox(
      this.#role,
      this.#withKind,
      { lifecycle, requests, outbox, arrivals },
      {
        onProven: (settings) => {
          if (settings === undefined) return;
          outbox.applySettings(settings);
          this.#open();
        },
        onDrainHeard: (reason) => this.#ending.drainHeard(reason),
        onCloseHeard: (reason) => this.#ending.closeHeard(reason),
        onAnswered: () => {
          outbox.drainPaid();
          this.#ending.finishIfIdle();
        },
      },
    );
  }

  #makeIntake(session: Session, transport: Transport): Intake {
    const { inbox, arrivals, outbox } = this;
    return new Intake(this.#role, this.#context, session, transport, inbox, arrivals, outbox, {
      onResumed: () => {
        this.#ending.finishIfEnded();
        this.#ending.finishIfIdle();
      },
      onFailure: (error) => this.shutdown(error),
    });
  }

  #makeEnding(): Ending {
    const { lifecycle, requests, outbox, arrivals } = this;
    const { drainTimeoutMs } = this.#context.limits;
    const link = this;
    const parts = { lifecycle, requests, outbox, arrivals, drainTimeoutMs, saysClose: this.#withKind };
    return new Ending(parts, {
      onDraining: () => {
        this.#observer.onDraining(this.#connection);
        this.#announcements.add("draining");
      },
      onAllWritten: () => this.#transport?.end(),
      get reading() {
        // Protocol v2 reads on whatever waits for handlers, so that the end of the peer's stream is heard at once.
        if (link.#intake === undefined || link.#intake.paused) return "paused";
        return link.#intake.insideFrame ? "insideFrame" : "betweenFrames";
      },
      onEnd: (error) => this.shutdown(error),
      onCut: (text) => this.shutdown(this.#lost(text)),
    });
  }

  #makeLiveness(): Liveness {
    const link = this;
    const { lifecycle } = this;
    const { controls } = this.outbox;
    return new Liveness(this.#context.limits, {
      get paused() {
        return link.#intake?.paused ?? false;
      },
      get writing() {
        return link.#writer.busy;
      },
      ping: () => lifecycle.maySend && controls.ping(),
      pong: () => lifecycle.maySend && controls.pong(0),
      onSilence: (text) => this.#fail("ERR_READ_TIMEOUT", text),
    });
  }

  #requestAbandoned(sequence: number): void {
    if (this.lifecycle.isOver) return;
    // A request that was not sent has nothing at the peer to cancel.
    if (sequence !== 0 && this.lifecycle.maySend) this.outbox.controls.cancel(sequence);
    else this.outbox.drainPaid();
    this.#ending.finishIfIdle();
  }

  // ---- The end ------------------------------------------------------------------------------------------

  #closeReason(error: unknown): SealwireError | undefined {
    const { state } = this.lifecycle;
    if (state === "dialing") {
      return error instanceof SealwireError ? error : dialFailed(this.#context.dialledAddress, error);
    }
    if (this.lifecycle.peerClosed && state === "closing") return undefined;
    if (this.#intake === undefined) return lostInHandshake(error);
    return this.#lost("the connection was lost", error);
  }

  #lost(text: string, cause?: unknown): SealwireError {
    if (this.lifecycle.state === "unproven") return lostInHandshake(cause);
    return new SealwireError("ERR_CONNECTION_LOST", text, { cause });
  }

  /** The peer is told why, if it can be: not where something was forged, and as far as the socket takes it at once. */
  #sayWhy(error: SealwireError | undefined): void {
    if (error === undefined || error.code === "ERR_DECRYPT") return;
    const { lastBegun } = this.arrivals;
    this.outbox.controls.close({ code: error.code, lastBegun });
    this.outbox.sender.flush();
  }

  #fail(code: ConstructorParameters<typeof SealwireError>[0], text: string): void {
    this.shutdown(new SealwireError(code, text));
  }

  /** Ends everything now. `reason` undefined: it ended in good order. */
  shutdown(reason: unknown): void {
    const before = this.lifecycle.state;
    if (!this.lifecycle.close()) return;
    const error = typedReason(reason, before);
    const forCalls = callError(error, before === "dialing" || before === "handshaking");
    if (before === "open" || before === "draining") this.#sayWhy(error);
    timers.cancel(this.#handshakeDeadline);
    this.#liveness.stop();
    this.#ending.stop();
    this.#establishing?.destroy();
    this.#intake?.close();
    this.requests.rejectAll(() => forCalls);
    this.outbox.close(forCalls);
    this.#writer.close();
    this.#session?.destroy();
    wipeReceiveMemory();
    if (this.#transport !== undefined) this.#transport.destroy();
    else this.#cancelDial?.();
    this.#observer.onClosed(this.#connection, error);
    this.#announcements.add("closed", error);
    // Last, since signals run the application's code.
    this.arrivals.end(forCalls);
    tellEnded(this.#connection);
  }
}
