// A server: accepts connections up to a limit, lets a few more wait for a place, and closes in good order.

import { SealwireError } from "../errors.ts";
import { type ConnectionContext, type ConnectionObserver, RpcConnection } from "./connection.ts";
import { callListener } from "./listeners.ts";
import type { Connection, ConnectionStateListener } from "./peer.ts";
import { CallbackDeadline, timers } from "./timers.ts";
import type { Adapter, Address, Listener, Transport, TransportEvents } from "./transport.ts";

export interface ServerContext extends ConnectionContext {
  readonly adapter: Adapter;
  readonly address: Address;
  readonly maxConnections: number;
  readonly maxConnectionWaitMs: number;
  readonly maxHandshakes: number;
  readonly onConnectionState: ConnectionStateListener | undefined;
}

export interface Server {
  /** The TCP port that it listens on (also when 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /** The path of its Unix socket, if it has one. */
  readonly path: string | undefined;
  /** True when nothing tells who the clients are, and clients can't tell who the server is. */
  readonly anonymous: boolean;
  /** The connections that are open now. */
  readonly connections: readonly Connection[];
  /** Connections turned away because of `maxConnections` or `maxHandshakes`, since the server started. */
  readonly refusedConnections: number;
  /**
   * Stops accepting and closes every connection in good order: handlers that run, their answers and queued writes
   * finish within `drainTimeoutMs`. Resolves when every socket is gone. Idempotent, never rejects.
   */
  close(): Promise<void>;
}

/** An accepted socket that has no connection yet: it waits, unread, for a place. */
class WaitingSocket implements TransportEvents {
  readonly #server: RpcServer;
  readonly transport: Transport;
  readonly deadline: CallbackDeadline;
  #connection: RpcConnection | undefined;

  constructor(server: RpcServer, transport: Transport) {
    this.#server = server;
    this.transport = transport;
    this.deadline = new CallbackDeadline(() => server.turnAway(this));
  }

  /** A place is free: everything goes to the connection from here on. */
  become(connection: RpcConnection): void {
    this.#connection = connection;
    connection.onOpen(this.transport);
  }

  onWindow(length: number): void {
    this.#connection?.onWindow(length);
  }

  onData(bytes: Uint8Array): void {
    this.#connection?.onData(bytes);
  }

  onWritten(): void {
    this.#connection?.onWritten();
  }

  onEnd(): void {
    if (this.#connection !== undefined) this.#connection.onEnd();
    else this.transport.destroy();
  }

  onClose(error?: unknown): void {
    if (this.#connection !== undefined) this.#connection.onClose(error);
    else this.#server.stoppedWaiting(this);
  }
}

export class RpcServer implements Server, ConnectionObserver {
  readonly #context: ServerContext;
  readonly #live = new Set<RpcConnection>();
  readonly #handshaking = new Set<RpcConnection>();
  readonly #waiting = new Set<WaitingSocket>();
  #listener: Listener | undefined;
  #closed: Promise<void> | undefined;
  #whenEmpty: (() => void) | undefined;
  refusedConnections = 0;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Binds the address. Rejects with ERR_LISTEN_FAILED. */
  async start(): Promise<this> {
    const { adapter, address } = this.#context;
    try {
      this.#listener = await adapter.listen(address, (transport) => this.#accept(transport));
    } catch (cause) {
      this.#context.releaseKeys();
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
    return [...this.#live].filter((connection) => connection.state === "open");
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const stopped = this.#listener?.close();
    for (const socket of this.#waiting) socket.transport.destroy();
    await Promise.all([...this.#live].map((connection) => connection.close()));
    await stopped;
    if (this.#live.size + this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    this.#context.releaseKeys();
  }

  // ---- Places -------------------------------------------------------------------------------------------

  #accept(transport: Transport): TransportEvents {
    const socket = new WaitingSocket(this, transport);
    const { maxConnectionWaitMs, maxHandshakes } = this.#context;
    if (this.#closed !== undefined) {
      this.#waiting.add(socket);
      transport.destroy();
    } else if (this.#hasPlace()) {
      this.#admit(socket);
    } else {
      this.#waiting.add(socket);
      if (maxConnectionWaitMs === 0 || this.#waiting.size > maxHandshakes) this.turnAway(socket);
      else timers.arm(socket.deadline, maxConnectionWaitMs);
    }
    return socket;
  }

  #hasPlace(): boolean {
    const { maxConnections, maxHandshakes } = this.#context;
    return this.#live.size < maxConnections && this.#handshaking.size < maxHandshakes;
  }

  #admit(socket: WaitingSocket): void {
    const connection = new RpcConnection("server", this.#context, this);
    this.#live.add(connection);
    this.#handshaking.add(connection);
    socket.become(connection);
  }

  /** It waited too long, or too many wait. */
  turnAway(socket: WaitingSocket): void {
    this.refusedConnections++;
    timers.cancel(socket.deadline);
    socket.transport.destroy();
  }

  stoppedWaiting(socket: WaitingSocket): void {
    timers.cancel(socket.deadline);
    this.#waiting.delete(socket);
    this.#checkEmpty();
  }

  #admitWaiting(): void {
    for (const socket of this.#waiting) {
      if (this.#closed !== undefined || !this.#hasPlace()) return;
      timers.cancel(socket.deadline);
      this.#waiting.delete(socket);
      this.#admit(socket);
    }
  }

  #checkEmpty(): void {
    if (this.#live.size + this.#waiting.size === 0) this.#whenEmpty?.();
  }

  // ---- What connections tell ----------------------------------------------------------------------------

  onSocket(): void {}

  onOpen(connection: RpcConnection): void {
    this.#handshaking.delete(connection);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "open", undefined);
    this.#admitWaiting();
  }

  onDraining(connection: RpcConnection): void {
    callListener("onConnectionState", this.#context.onConnectionState, connection, "draining", undefined);
  }

  onClosed(connection: RpcConnection, error: SealwireError | undefined): void {
    this.#handshaking.delete(connection);
    callListener("onConnectionState", this.#context.onConnectionState, connection, "closed", error);
  }

  onGone(connection: RpcConnection): void {
    this.#live.delete(connection);
    this.#admitWaiting();
    this.#checkEmpty();
  }
}
