// A server: listens, makes connections from the sockets that the admission admits, takes other keys, and closes in good
// order.

import { SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import type { HandshakeFactory } from "../protocol/handshake.ts";
import type { AcceptedSocket } from "./acceptedSocket.ts";
import { Accepting } from "./accepting.ts";
import { Admission, type AdmissionEvents } from "./admission.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import type { ToldState } from "./announcements.ts";
import { RpcConnection } from "./connection.ts";
import { ConnectionLedger } from "./connectionStats.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { CallbackDeadline } from "./deadline.ts";
import { Grace } from "./grace.ts";
import { type Health, HealthReport } from "./health.ts";
import { callListener } from "./listeners.ts";
import type { Connection, ConnectionStateListener } from "./peer.ts";
import type { Proof } from "./peerKeys.ts";
import { drainRefused, endUnlessKept, reloadedContext } from "./reload.ts";
import type { CloseOptions, ReloadedKeys, Server, ServerStats } from "./serverInterface.ts";
import type { Serving } from "./servingOptions.ts";
import type { StatAnswer } from "./statMethod.ts";
import { timers } from "./timers.ts";
import type { Adapter, ListenAddress, Listener } from "./transport.ts";

export interface ServerContext extends ConnectionContext {
  readonly adapter: Adapter;
  readonly address: ListenAddress;
  readonly admission: AdmissionLimits;
  readonly serving: Serving;
  readonly onConnectionState: ConnectionStateListener | undefined;
  readonly makeKeys: (keys: ReloadedKeys) => HandshakeFactory;
  /** What clients prove; undefined with the option `handshake`. */
  readonly proof: Proof | undefined;
}

/** When a server closes, running handshakes have this time: several round trips between any two continents. */
const LAST_HANDSHAKES_MS = 1_500;

export class RpcServer implements Server, ConnectionObserver<RpcConnection>, AdmissionEvents {
  #context: ServerContext;
  /** Handshakes that were under way when the keys changed. */
  readonly #begunBefore = new Set<RpcConnection>();
  readonly #admission: Admission;
  readonly #live = new Map<RpcConnection, AcceptedSocket>();
  readonly #accepting: Accepting;
  readonly #report: HealthReport;
  readonly #grace = new Grace();
  #listener: Listener | undefined;
  #closed: Promise<void> | undefined;
  #whenEmpty: (() => void) | undefined;
  #admitScheduled = false;
  #draining = false;
  readonly #handshakesOver = new CallbackDeadline(() => {
    for (const connection of this.#live.keys()) connection.close();
  });
  #keepsAlive = true;
  readonly #ledger = new ConnectionLedger();
  readonly #startedAt = now();

  constructor(context: ServerContext) {
    this.#context = context;
    this.#admission = new Admission(context.admission, this, context.rounds.handshakes);
    this.#accepting = new Accepting(
      context.serving.proxies,
      this.#admission,
      () => this.#context.handshake,
      () => this.#checkEmpty(),
    );
    this.#report = new HealthReport(context.serving.onHealth);
  }

  /** Binds the addresses. Rejects with ERR_LISTEN_FAILED, ERR_UNSUPPORTED. */
  async start(): Promise<this> {
    const { adapter, address, serving } = this.#context;
    try {
      if (serving.proxies !== undefined) await this.#accepting.loadProxyReader();
      if (serving.healthAddress !== undefined) await this.#report.listen(adapter, serving.healthAddress);
      this.#listener = await adapter.listen(address, (transport) => this.#accepting.accept(transport));
    } catch (cause) {
      this.#context.wipeKeys();
      await this.#report.close();
      if (cause instanceof SealwireError) throw cause;
      const where = address.path ?? `${address.host}:${address.port}`;
      throw new SealwireError("ERR_LISTEN_FAILED", `could not listen on ${where}`, { cause });
    }
    this.#report.become("ready");
    return this;
  }

  /** The answer for peers that may ask for counters. */
  get statAnswer(): StatAnswer {
    return { health: this.health, uptimeMs: now() - this.#startedAt, stats: this.stats };
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  get path(): string | undefined {
    return this.#context.address.path;
  }

  get anonymous(): boolean {
    return this.#context.handshake.anonymous;
  }

  get connections(): readonly Connection[] {
    return [...this.#live.keys()].filter((connection) => connection.state === "open");
  }

  get refusedConnections(): number {
    return this.#admission.refused;
  }

  get droppedSockets(): number {
    return this.#admission.dropped;
  }

  get waitingSockets(): number {
    return this.#admission.waiting;
  }

  ref(): void {
    this.#keepAlive(true);
  }

  unref(): void {
    this.#keepAlive(false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get stats(): ServerStats {
    const { waitingSockets, refusedConnections, droppedSockets, probes, badProxyHeaders } = this;
    return {
      connections: this.#live.size,
      waitingSockets,
      refusedConnections,
      droppedSockets,
      probes,
      badProxyHeaders,
      acceptFailures: this.#listener?.acceptFailures ?? 0,
      ...this.#ledger.totals(this.#live.keys()),
    };
  }

  #keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.#listener?.keepAlive?.(on);
    this.#report.keepAlive(on);
    this.#accepting.keepAlive(on);
    for (const connection of this.#live.keys()) connection.link.keepAlive(on);
  }

  get probes(): number {
    return this.#accepting.probes;
  }

  get badProxyHeaders(): number {
    return this.#accepting.badProxyHeaders;
  }

  get health(): Health {
    return this.#report.health;
  }

  get healthPort(): number {
    return this.#report.port;
  }

  close(options: CloseOptions = {}): Promise<void> {
    checkOptionNames(options, ["graceMs"]);
    const { graceMs = 0 } = options;
    integerOption("graceMs", graceMs, 0, MAX_MS);
    this.#closed ??= this.#close();
    this.#grace.endWithin(graceMs);
    return this.#closed;
  }

  async reload(keys: ReloadedKeys): Promise<number> {
    if (this.health === "stopped") throw new SealwireError("ERR_CLOSED", "the server is closed");
    this.#context = reloadedContext(this.#context, keys);
    const open = [...this.#live.keys()].filter((connection) => {
      if (connection.state === "handshaking") this.#begunBefore.add(connection);
      return connection.link.identity !== undefined;
    });
    return drainRefused(open, () => this.#context);
  }

  async #close(): Promise<void> {
    this.#report.become("draining");
    await this.#grace.isOver;
    await this.#drain();
    this.#context.wipeKeys();
    this.#report.become("stopped");
    await this.#report.close();
  }

  async #drain(): Promise<void> {
    const stopped = this.#listener?.close();
    this.#draining = true;
    this.#admission.close();
    this.#accepting.dropAll();
    for (const connection of this.#live.keys()) {
      // A client may be ahead of its server: it has the keys, and its first calls are on the way.
      if (connection.state !== "handshaking") connection.close();
      else if (!this.#handshakesOver.armed) timers.arm(this.#handshakesOver, this.#handshakePatienceMs);
    }
    await stopped;
    if (this.#live.size + this.#accepting.count > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    this.#context.wipeKeys();
    timers.cancel(this.#handshakesOver);
  }

  /** How long running handshakes may take when the server closes. */
  get #handshakePatienceMs(): number {
    return Math.min(this.#context.limits.drainTimeoutMs, LAST_HANDSHAKES_MS);
  }

  // ---- What the admission decides -----------------------------------------------------------------------

  admit(socket: AcceptedSocket): void {
    const connection = new RpcConnection("server", this.#context, this);
    if (!this.#keepsAlive) connection.link.keepAlive(false);
    this.#accepting.admitted(socket);
    this.#live.set(connection, socket);
    socket.become(connection);
  }

  displace(socket: AcceptedSocket): void {
    const text = "the handshake was not over when others needed its place";
    socket.connection?.destroy(new SealwireError("ERR_HANDSHAKE_TIMEOUT", text));
  }

  /** Handshakes begin in a turn of their own, because a connection may have ended inside a call of the application. */
  #admitSoon(): void {
    if (this.#admitScheduled) return;
    this.#admitScheduled = true;
    this.#context.adapter.defer(() => {
      this.#admitScheduled = false;
      this.#admission.admitReady();
    });
  }

  #checkEmpty(): void {
    if (this.#live.size + this.#accepting.count === 0) this.#whenEmpty?.();
  }

  // ---- What connections tell ----------------------------------------------------------------------------

  onSocket(): void {}

  onOpen(connection: RpcConnection): void {
    const socket = this.#live.get(connection)!;
    this.#admission.proved(socket);
    socket.limitAge(this.#context.serving.maxConnectionAgeMs);
    this.#ledger.opened(connection);
    if (this.#begunBefore.delete(connection)) endUnlessKept(connection, () => this.#context);
    if (connection.isOpen) this.tell(connection, "open", undefined);
    if (this.#draining) connection.close();
    this.#admitSoon();
  }

  onDraining(): void {}

  onClosed(connection: RpcConnection): void {
    const socket = this.#live.get(connection)!;
    this.#begunBefore.delete(connection);
    socket.endAgeLimit();
    this.#admission.ended(socket);
    this.#ledger.closed(connection.link.identity !== undefined);
    this.#admitSoon();
  }

  tell(connection: RpcConnection, state: ToldState | "open", error: SealwireError | undefined): void {
    if (state === "closed") this.#ledger.tellClosed(connection, error);
    callListener("onConnectionState", this.#context.onConnectionState, connection, state, error);
  }

  onGone(connection: RpcConnection): void {
    const socket = this.#live.get(connection)!;
    this.#live.delete(connection);
    this.#ledger.gone(connection);
    this.#admission.left(socket);
    this.#admitSoon();
    this.#checkEmpty();
  }
}
