// The connections of a client to its server: which one takes a call, and when another one is dialled.
//
//   (none) ──call──▶ waiting ──pause over, room for a socket──▶ dialled ──▶ open ──▶ draining ──▶ gone
//
// A call goes to an open connection if one can take it, even while another one is dialled. So no call fails because the
// server refuses the other connection. A connection that waits for its turn to dial takes calls as a dialled one does,
// and they wait for it within their deadlines. `maxConnections` counts sockets, including those that drain.

import { SealwireError } from "../base/errors.ts";
import { now, runSoon } from "../core/eventLoop.ts";
import type { ToldState } from "./announcements.ts";
import { RpcConnection } from "./connection.ts";
import { ConnectionLedger, type ConnectionTotals } from "./connectionStats.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { CallbackDeadline } from "./deadline.ts";
import { callListener } from "./listeners.ts";
import { type CallKind, LoadScale } from "./loadScale.ts";
import type { Connection, ConnectionStateListener } from "./peer.ts";
import { Member, type Waiter } from "./poolMember.ts";
import { RedialPause } from "./redial.ts";
import { timers } from "./timers.ts";
import type { Adapter, Address } from "./transport.ts";

export interface ClientContext extends ConnectionContext {
  readonly adapter: Adapter;
  readonly address: Address;
  readonly maxConnections: number;
  readonly dialTimeoutMs: number;
  readonly keepConnected: boolean;
  readonly onConnectionState: ConnectionStateListener | undefined;
}

export class ConnectionPool implements ConnectionObserver<RpcConnection> {
  readonly #context: ClientContext;
  readonly #scale: LoadScale;
  readonly #onChange: (error?: SealwireError) => void;
  readonly onRoom: () => void;
  /** The connections that take calls, the oldest first: open, dialling, or waiting for their dial. */
  #usable: RpcConnection[] = [];
  /** The same, and closing connections whose sockets still exist. */
  readonly #members = new Map<RpcConnection, Member>();
  /** Sockets that were dialled and are not gone. */
  #sockets = 0;
  /** The connection that waits for its dial, and the earliest time of that dial if no call comes. */
  #next: RpcConnection | undefined;
  #nextNotBefore = 0;
  readonly #pause = new RedialPause();
  readonly #pauseOver: CallbackDeadline;
  #waiters: Waiter[] = [];
  readonly #ledger = new ConnectionLedger();
  #keepsAlive = true;
  #closed = false;

  /**
   * @param onChange called when a connection opened, and when one that did not open is gone, with the reason
   * @param onRoom called when a connection may take another call
   */
  constructor(context: ClientContext, onChange: (error?: SealwireError) => void, onRoom: () => void) {
    this.#context = context;
    this.#onChange = onChange;
    this.onRoom = onRoom;
    this.#scale = new LoadScale(context.limits);
    this.#pauseOver = new CallbackDeadline(() => this.#dialNext());
    if (context.keepConnected) this.#addNext(0);
  }

  /** The connections that take calls. */
  get usable(): readonly RpcConnection[] {
    return this.#usable;
  }

  get anyOpen(): boolean {
    return this.#usable.some(({ isOpen }) => isOpen);
  }

  /** The connections whose sockets exist, and the one that waits for its dial. */
  get members(): Iterable<RpcConnection> {
    return this.#members.keys();
  }

  get sockets(): number {
    return this.#sockets;
  }

  /** The totals of all connections, including closed ones. */
  get totals(): ConnectionTotals {
    return this.#ledger.totals(this.#members.keys());
  }

  /** The connection for a call. It may refuse the call if no connection can take it. */
  choose(kind: CallKind, bodyBytes: number): RpcConnection {
    // The first of equals, so that a quiet client uses one connection. With one connection there is no choice.
    const first = this.#usable[0];
    const isFirst =
      first?.isOpen &&
      (this.#context.maxConnections === 1 ||
        (bodyBytes <= this.#scale.surelyTakenBytes && !this.#scale.isBusy(first)));
    if (isFirst) return first;
    return this.#chooseAmong(kind, bodyBytes);
  }

  /** The open connection for a call, if one can take it. */
  openFor(kind: CallKind, bodyBytes: number): RpcConnection | undefined {
    if (!this.anyOpen) return undefined;
    const chosen = this.choose(kind, bodyBytes);
    return chosen.isOpen && this.#scale.takes(chosen, kind, bodyBytes) ? chosen : undefined;
  }

  /** Whether another connection will open, or be gone without; it is dialled if there is room for it. */
  dialAnother(): boolean {
    this.#hurry();
    if (this.#usable.some(({ isOpen }) => !isOpen) || this.#addNextIfRoom() !== undefined) return true;
    // Its dial has failed, and its socket still counts.
    return [...this.#members.values()].some(({ openedAt }) => openedAt < 0);
  }

  /** Resolves when a connection is open; rejects when there is none and the one under way has failed. */
  connected(): Promise<Connection> {
    const open = this.#usable.find(({ isOpen }) => isOpen);
    if (open !== undefined) return Promise.resolve(open);
    if (this.#usable.length === 0) this.#addNext(0);
    else this.#hurry();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** Whether idle connections, and pauses between dials, keep the process alive. */
  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    timers.setQuiet(this.#pauseOver, !on);
    for (const connection of this.#members.keys()) connection.link.keepAlive(on);
  }

  /** Closes all connections in good order. Calls that wait for a dial use it if it succeeds within the drain time. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#members.keys()].map((connection) => connection.close()));
    timers.cancel(this.#pauseOver);
  }

  // ---- Choosing -----------------------------------------------------------------------------------------

  /** The least loaded open connection that takes the call; else the first dialling one that does; else a new one. */
  #chooseAmong(kind: CallKind, bodyBytes: number): RpcConnection {
    let open: RpcConnection | undefined;
    let underWay: RpcConnection | undefined;
    let leastLoad = Number.POSITIVE_INFINITY;
    let allLoad = 0;
    let firstOpen: RpcConnection | undefined;
    for (const connection of this.#usable) {
      const load = this.#scale.load(connection);
      const { isOpen } = connection;
      allLoad += load;
      if (isOpen) firstOpen ??= connection;
      if (!this.#scale.takes(connection, kind, bodyBytes)) continue;
      if (!isOpen) underWay ??= connection;
      else if (load < leastLoad) {
        open = connection;
        leastLoad = load;
      }
    }
    // The load decides how many connections are needed, and dialling ones will take a part of it. Until the first one
    // is open, it is unknown whether the server accepts another.
    if (firstOpen !== undefined && leastLoad >= 1 && allLoad >= this.#usable.length) this.#addNextIfRoom();
    if (open !== undefined) return open;
    this.#hurry();
    // A dial that fails would lose the message, whose sender thinks that it was taken. An open connection refuses it.
    if (firstOpen !== undefined && kind === "sendNoWait") return firstOpen;
    if (underWay !== undefined) return underWay;
    const added = this.#usable.length === 0 ? this.#addNext(0) : this.#addNextIfRoom();
    return added ?? this.#usable.at(-1)!;
  }

  // ---- Dialling -----------------------------------------------------------------------------------------

  #addNextIfRoom(): RpcConnection | undefined {
    if (this.#next !== undefined || this.#sockets >= this.#context.maxConnections) return undefined;
    return this.#addNext(0);
  }

  /** Adds a connection, which is dialled as soon as the pause, `delayMs` and `maxConnections` allow it. */
  #addNext(delayMs: number): RpcConnection {
    const connection = new RpcConnection("client", this.#context, this);
    if (!this.#keepsAlive) connection.link.keepAlive(false);
    this.#members.set(connection, new Member());
    this.#usable.push(connection);
    this.#next = connection;
    this.#nextNotBefore = now() + delayMs;
    connection.link.dialling(() => runSoon(() => connection.link.onClose()));
    this.#dialNext();
    return connection;
  }

  /** A call waits for the dial, so `delayMs` no longer counts. */
  #hurry(): void {
    if (this.#next === undefined) return;
    this.#nextNotBefore = 0;
    this.#dialNext();
  }

  #dialNext(): void {
    const connection = this.#next;
    if (connection === undefined || this.#sockets >= this.#context.maxConnections) return;
    const time = now();
    const waitMs = Math.max(this.#pause.remainingMs(time), this.#nextNotBefore - time);
    if (waitMs > 0) {
      timers.arm(this.#pauseOver, waitMs);
      return;
    }
    timers.cancel(this.#pauseOver);
    this.#next = undefined;
    this.#dial(connection, time);
  }

  #dial(connection: RpcConnection, time: number): void {
    const { adapter, address, dialTimeoutMs, dialledAddress } = this.#context;
    const member = this.#members.get(connection)!;
    this.#sockets++;
    member.dialled(time, dialTimeoutMs, () => {
      const text = `no connection to ${dialledAddress} within ${dialTimeoutMs} ms`;
      connection.destroy(new SealwireError("ERR_DIAL_TIMEOUT", text));
    });
    try {
      connection.link.dialling(adapter.dial(address, connection.link));
    } catch (error) {
      runSoon(() => connection.link.onClose(error));
    }
  }

  #remove(connection: RpcConnection): void {
    this.#usable = this.#usable.filter((other) => other !== connection);
    if (this.#next === connection) this.#next = undefined;
  }

  /** A connection takes no more calls: decides whether the next dial waits for a pause. */
  #judge(connection: RpcConnection, member: Member): void {
    const time = now();
    if (member.wasUseful(connection, time)) {
      this.#pause.succeeded();
    } else if (member.dialledAt >= 0 && !member.judged) {
      // An old failure no longer counts if another connection works.
      const works = this.#usable.some((other) => this.#members.get(other)!.wasUseful(other, time));
      if (works) this.#pause.succeeded();
      this.#pause.failed(member.dialledAt, time);
    }
    member.judged = true;
  }

  /** With `keepConnected`: dials a successor if no connection takes calls any more. */
  #keepConnected(): void {
    if (!this.#context.keepConnected || this.#closed || this.#usable.length > 0) return;
    this.#addNext(this.#pause.jitterMs());
  }

  // ---- What connections tell ----------------------------------------------------------------------------

  onSocket(connection: RpcConnection): void {
    this.#members.get(connection)?.dialEnded();
  }

  onOpen(connection: RpcConnection): void {
    this.#members.get(connection)!.openedAt = now();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(connection);
    this.#ledger.opened(connection);
    this.#onChange();
    callListener("onConnectionState", this.#context.onConnectionState, connection, "open", undefined);
  }

  onDraining(connection: RpcConnection): void {
    this.#remove(connection);
    this.#judge(connection, this.#members.get(connection)!);
    this.#keepConnected();
  }

  onClosed(connection: RpcConnection, error: SealwireError | undefined): void {
    this.onSocket(connection);
    this.#remove(connection);
    this.#judge(connection, this.#members.get(connection)!);
    const reason = error ?? new SealwireError("ERR_CLOSED", "the connection was closed");
    this.#members.get(connection)!.error = reason;
    for (const waiter of this.#usable.length === 0 ? this.#waiters.splice(0) : []) waiter.reject(reason);
    this.#ledger.closed(connection.link.identity !== undefined);
    this.#keepConnected();
  }

  tell(connection: RpcConnection, state: ToldState, error: SealwireError | undefined): void {
    if (state === "closed") this.#ledger.tellClosed(connection, error);
    callListener("onConnectionState", this.#context.onConnectionState, connection, state, error);
  }

  onGone(connection: RpcConnection): void {
    this.#ledger.gone(connection);
    const { dialledAt, openedAt, error } = this.#members.get(connection)!;
    if (dialledAt >= 0) this.#sockets--;
    this.#members.delete(connection);
    this.#dialNext();
    if (openedAt < 0) this.#onChange(error);
  }
}
