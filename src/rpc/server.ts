// A server: listens, makes connections of the sockets that the admission lets in, and closes in good order.

import { SealwireError } from "../base/errors.ts";
import { AcceptedSocket, type SocketOwner } from "./acceptedSocket.ts";
import { addressGroup } from "./addressGroup.ts";
import { Admission, type AdmissionEvents } from "./admission.ts";
import type { AdmissionLimits } from "./admissionLimits.ts";
import { RpcConnection } from "./connection.ts";
import { ConnectionLedger, type ConnectionTotals } from "./connectionStats.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { callListener } from "./listeners.ts";
import type { Connection, ConnectionStateListener } from "./peer.ts";
import type { Adapter, Address, Listener, Transport, TransportEvents } from "./transport.ts";

export interface ServerContext extends ConnectionContext {
  readonly adapter: Adapter;
  readonly address: Address;
  readonly admission: AdmissionLimits;
  readonly onConnectionState: ConnectionStateListener | undefined;
}

/** What `Server.stats` gives. */
export interface ServerStats extends ConnectionTotals {
  /** Gauge: connections whose sockets are not gone. */
  readonly connections: number;
  /** Gauge: `waitingSockets` of the server. */
  readonly waitingSockets: number;
  /** Counter: `refusedConnections` of the server. */
  readonly refusedConnections: number;
  /** Counter: `droppedSockets` of the server. */
  readonly droppedSockets: number;
  /** Counter: how often the process had no file descriptor left for a connection (in Node always 0). */
  readonly acceptFailures: number;
}

/** A server that listens; `listen` makes it. */
export interface Server {
  /** The TCP port that it listens on (also when 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /** The path of its Unix socket, if it has one. */
  readonly path: string | undefined;
  /** True when nothing tells who the clients are, and clients can't tell who the server is. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /**
   * Sockets closed since the server started because of a limit of connections, handshakes or waiting sockets, in all
   * or per address. Silent ones are counted in `droppedSockets`.
   */
  readonly refusedConnections: number;
  /**
   * Sockets closed since the server started, by either side, that had sent no complete first message: too slow
   * (`handshakeTimeoutMs`), or the oldest of too many (`maxWaitingSockets`), or they left. `onConnectionState` is not
   * told of them: they were no connections yet.
   */
  readonly droppedSockets: number;
  /** Sockets now that have sent no complete first message, or wait for a place. */
  readonly waitingSockets: number;
  /** Counters since the server started, and gauges. A snapshot. */
  readonly stats: ServerStats;
  /**
   * Stops accepting and closes every connection in good order: handlers that run, their answers and queued writes
   * finish within `drainTimeoutMs`. Resolves when every socket is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
  /**
   * Lets the process end while nothing is under way on the server: neither listening nor idle connections keep it
   * alive any more. What has an end of its own does until then: a handshake, a request with a time limit, closing.
   */
  unref(): void;
  /** Takes `unref` back. */
  ref(): void;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export class RpcServer implements Server, ConnectionObserver<RpcConnection>, SocketOwner, AdmissionEvents {
  readonly #context: ServerContext;
  readonly #admission: Admission;
  readonly #live = new Map<RpcConnection, AcceptedSocket>();
  /** Accepted sockets without a connection that are not gone. */
  readonly #waiting = new Set<AcceptedSocket>();
  #listener: Listener | undefined;
  #closed: Promise<void> | undefined;
  #whenEmpty: (() => void) | undefined;
  #admitScheduled = false;
  #keepsAlive = true;
  readonly #ledger = new ConnectionLedger();

  constructor(context: ServerContext) {
    this.#context = context;
    this.#admission = new Admission(context.admission, this);
  }

  /** Binds the address. Rejects with ERR_LISTEN_FAILED. */
  async start(): Promise<this> {
    const { adapter, address } = this.#context;
    try {
      this.#listener = await adapter.listen(address, (transport) => this.#accept(transport));
    } catch (cause) {
      this.#context.releaseKeys();
      if (cause instanceof SealwireError) throw cause;
      const where = address.path ?? `${address.host}:${address.port}`;
      throw new SealwireError("ERR_LISTEN_FAILED", `could not listen on ${where}`, { cause });
    }
    return this;
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
    return this.#admission.droppedSilent;
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
    const { waitingSockets, refusedConnections, droppedSockets } = this;
    const acceptFailures = this.#listener?.acceptFailures ?? 0;
    const own = { waitingSockets, refusedConnections, droppedSockets, acceptFailures };
    return { connections: this.#live.size, ...own, ...this.#ledger.totals(this.#live.keys()) };
  }

  #keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.#listener?.keepAlive?.(on);
    for (const socket of this.#waiting) socket.transport.keepAlive?.(on);
    for (const connection of this.#live.keys()) connection.link.keepAlive(on);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const stopped = this.#listener?.close();
    this.#admission.close();
    for (const socket of this.#waiting) socket.drop();
    await Promise.all([...this.#live.keys()].map((connection) => connection.close()));
    await stopped;
    if (this.#live.size + this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    this.#context.releaseKeys();
  }

  // ---- Sockets without a connection ---------------------------------------------------------------------

  #accept(transport: Transport): TransportEvents {
    const share = this.#admission.shareOf(addressGroup(transport.remoteAddress));
    const socket = new AcceptedSocket(this, transport, share);
    this.#waiting.add(socket);
    if (!this.#keepsAlive) transport.keepAlive?.(false);
    if (this.#admission.arrived(socket)) transport.resume();
    return socket;
  }

  firstMessageBytes(received: Uint8Array): number {
    try {
      return this.#context.handshake.firstMessageBytes?.(received) ?? 1;
    } catch {
      return 0; // a factory of the application's: its handshake will say what is wrong
    }
  }

  spoke(socket: AcceptedSocket): void {
    this.#admission.spoke(socket);
  }

  left(socket: AcceptedSocket): void {
    this.#waiting.delete(socket);
    this.#admission.left(socket);
    this.#checkEmpty();
  }

  admit(socket: AcceptedSocket): void {
    const connection = new RpcConnection("server", this.#context, this);
    if (!this.#keepsAlive) connection.link.keepAlive(false);
    this.#waiting.delete(socket);
    this.#live.set(connection, socket);
    socket.become(connection);
  }

  displace(socket: AcceptedSocket): void {
    const text = "the handshake was not over when others needed its place";
    socket.connection?.destroy(new SealwireError("ERR_HANDSHAKE_TIMEOUT", text));
  }

  /** Handshakes begin in a turn of their own: what ended may have ended inside a call of the application. */
  #admitSoon(): void {
    if (this.#admitScheduled) return;
    this.#admitScheduled = true;
    this.#context.adapter.defer(() => {
      this.#admitScheduled = false;
      this.#admission.admitReady();
    });
  }

  #checkEmpty(): void {
    if (this.#live.size + this.#waiting.size === 0) this.#whenEmpty?.();
  }

  // ---- What connections tell ----------------------------------------------------------------------------

  onSocket(): void {}

  onOpen(connection: RpcConnection): void {
    this.#admission.proved(this.#live.get(connection)!);
    this.#ledger.opened(connection);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "open", undefined);
    this.#admitSoon();
  }

  onDraining(connection: RpcConnection): void {
    callListener("onConnectionState", this.#context.onConnectionState, connection, "draining", undefined);
  }

  onClosed(connection: RpcConnection, error: SealwireError | undefined): void {
    this.#admission.ended(this.#live.get(connection)!);
    this.#ledger.closed(connection, connection.identity !== undefined, error);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "closed", error);
    this.#admitSoon();
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
