// A socket that a server accepted. Until its handshake begins, the server keeps two things for it: the bytes of an
// incomplete first message, and its positions in the lines of the admission.

import { MAX_MS } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import { memory, RECEIVE_BUFFER } from "../core/wasmModule.ts";
import type { AddressShare } from "./addressShare.ts";
import type { RpcConnection } from "./connection.ts";
import { CallbackDeadline } from "./deadline.ts";
import { type Line, Position } from "./line.ts";
import type { ProxyReader } from "./proxyReader.ts";
import { ReadBackoff, type RestingReader } from "./readBackoff.ts";
import { timers } from "./timers.ts";
import type { Transport, TransportEvents } from "./transport.ts";

const EMPTY = new Uint8Array(0);
/**
 * A socket whose first message is complete is not read from. Up to this many bytes may arrive before the pause takes
 * effect.
 */
const MAX_WAITING_BYTES = 262_144;
/** The same behind a first message of known length: an honest client awaits the answer. Each socket may hold so much. */
export const MAX_SURPLUS_BYTES = 4_096;
/** The fraction of an age limit by which lives of connections differ, so that they do not end at the same time. */
const AGE_JITTER = 0.1;

/**
 * silent: no complete first message. ready: it waits for a place. young, old, overdue: its handshake runs. proven: its
 * connection is open. gone: it ends, or has ended.
 */
export type SocketStage = "silent" | "ready" | "young" | "old" | "overdue" | "proven" | "gone";

/** The server's side of accepted sockets. */
export interface SocketOwner {
  /** The bytes that the whole first message needs, as far as `received` shows. */
  firstMessageBytes(received: Uint8Array): number;
  /** The bytes that may follow a first message before its answer. */
  readonly mostSurplusBytes: number;
  /** The first message is complete. */
  spoke(socket: AcceptedSocket): void;
  /**
   * The proxy has told the client's address. False: the socket was dropped, because there is no room for that address.
   */
  addressTold(socket: AcceptedSocket, address: string): boolean;
  /** The bytes of a trusted proxy are no valid header. */
  headerRefused(socket: AcceptedSocket): void;
  /** The socket is gone and never had a connection. */
  left(socket: AcceptedSocket): void;
}

export class AcceptedSocket implements TransportEvents, RestingReader {
  readonly #owner: SocketOwner;
  #transport: Transport;
  /** The share of its address; that of the proxy's address until the header has told the client's. */
  share: AddressShare<AcceptedSocket>;
  stage: SocketStage = "silent";
  /** When its stage began, by the monotonic clock. */
  since = now();
  /** It counts against the limit of connections. */
  hasPlace = false;
  /** Its position among the sockets of its stage. */
  readonly byAge = new Position<AcceptedSocket>(this);
  /** Its position among the sockets of its stage from the same address. */
  readonly byAddress = new Position<AcceptedSocket>(this);
  /** Ends its connection when that has been open for its age limit. */
  #ageLimit: CallbackDeadline | undefined;
  /** The bytes that have arrived, and room for more. */
  #kept = EMPTY;
  #keptBytes = 0;
  /** So many bytes are needed before it can be told whether the first message is complete. */
  #neededBytes = 0;
  /** From the first bytes of an incomplete first message on. */
  #backoff: ReadBackoff | undefined;
  /** A trusted proxy dialled: its header comes before the client's bytes. */
  #awaitedBy: ProxyReader | undefined;
  #heard = false;
  #connection: RpcConnection | undefined;

  constructor(
    owner: SocketOwner,
    transport: Transport,
    share: AddressShare<AcceptedSocket>,
    awaitedBy?: ProxyReader,
  ) {
    this.#owner = owner;
    this.#transport = transport;
    this.share = share;
    this.#awaitedBy = awaitedBy;
  }

  get transport(): Transport {
    return this.#transport;
  }

  /** The peer itself has sent bytes; a proxy's header does not count. */
  get heard(): boolean {
    return this.#heard;
  }

  get connection(): RpcConnection | undefined {
    return this.#connection;
  }

  /** From now on the connection gets all bytes, beginning with those that have arrived. */
  become(connection: RpcConnection): void {
    this.#connection = connection;
    const received = this.#received;
    this.#forget();
    connection.link.onConnected(this.#transport);
    if (received.length > 0) connection.link.onData(received);
  }

  /** Closes its connection in good order when that has been open for about this time; 0: never. */
  limitAge(ms: number): void {
    if (ms === 0) return;
    this.#ageLimit = new CallbackDeadline(() => this.#connection?.close());
    // The connection decides whether the process stays alive, not this timer.
    this.#ageLimit.quiet = true;
    const jitter = 1 - AGE_JITTER + 2 * AGE_JITTER * Math.random();
    timers.arm(this.#ageLimit, Math.min(ms * jitter, MAX_MS));
  }

  endAgeLimit(): void {
    if (this.#ageLimit !== undefined) timers.cancel(this.#ageLimit);
  }

  /** Leaves its lines, and joins the ends of the lines for this stage. */
  enterStage(stage: SocketStage, byAge: Line<AcceptedSocket>, byAddress: Line<AcceptedSocket>): void {
    this.stage = stage;
    this.since = now();
    byAge.join(this.byAge);
    byAddress.join(this.byAddress);
  }

  leaveLines(): void {
    this.byAge.leave();
    this.byAddress.leave();
  }

  /** Closes the socket before it has a connection. */
  drop(): void {
    this.stage = "gone";
    this.#forget();
    this.#transport.destroy();
  }

  onReceiveBuffer(length: number): void {
    if (this.#connection !== undefined) this.#connection.link.onReceiveBuffer(length);
    else this.#keep(memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + length));
  }

  onData(bytes: Uint8Array, polled?: boolean): void {
    if (this.#connection !== undefined) this.#connection.link.onData(bytes, polled);
    else this.#keep(bytes);
  }

  /** RestingReader */
  readOn(): void {
    if (this.stage === "silent") this.#transport.resume();
  }

  onWritten(): void {
    this.#connection?.link.onWritten();
  }

  onEnd(): void {
    if (this.#connection !== undefined) this.#connection.link.onEnd();
    else this.#leave();
  }

  onClose(error?: unknown): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) connection.link.onClose(error);
    else {
      this.#forget();
      this.#owner.left(this);
    }
  }

  /** Removes the socket from every line, so that no handshake begins on it; `left` follows. */
  #leave(): void {
    this.leaveLines();
    this.#forget();
    this.#transport.destroy();
  }

  get #received(): Uint8Array {
    return this.#kept.subarray(0, this.#keptBytes);
  }

  #forget(): void {
    this.#kept = EMPTY;
    this.#keptBytes = 0;
    this.#backoff?.end();
  }

  /** More bytes of the first message are missing. */
  #awaitMore(): void {
    if (this.#backoff === undefined) this.#backoff = new ReadBackoff(this);
    else if (this.#backoff.begin()) this.#transport.pause();
  }

  /** Before a message is complete, its bytes may come one by one. Room for as many again keeps what each costs the same. */
  #append(bytes: Uint8Array): void {
    const length = this.#keptBytes + bytes.length;
    if (length > this.#kept.length) {
      const isComplete = length >= this.#neededBytes && this.#awaitedBy === undefined;
      const grown = new Uint8Array(isComplete ? length : 2 * length);
      grown.set(this.#received);
      this.#kept = grown;
    }
    this.#kept.set(bytes, this.#keptBytes);
    this.#keptBytes = length;
  }

  #keep(bytes: Uint8Array): void {
    if (this.byAge.line === undefined) return;
    if (this.#keptBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#leave();
      return;
    }
    this.#append(bytes);
    if (this.#keptBytes < this.#neededBytes) {
      this.#awaitMore();
      return;
    }
    if (this.#awaitedBy !== undefined && !this.#takeHeader(this.#awaitedBy)) return;
    this.#heard = true;
    const received = this.#received;
    const firstBytes = this.#owner.firstMessageBytes(received);
    if (received.length < firstBytes) {
      this.#neededBytes = firstBytes;
      this.#awaitMore();
      return;
    }
    if (this.stage === "silent") {
      this.#transport.pause();
      this.#owner.spoke(this);
    }
    // It has no place yet, and waits with these bytes.
    const waits = this.#connection === undefined && this.stage !== "gone";
    if (waits && received.length > firstBytes + this.#owner.mostSurplusBytes) this.#leave();
  }

  /** True if the header is complete and bytes follow it. */
  #takeHeader(reader: ProxyReader): boolean {
    const header = reader.read(this.#received);
    if (header === "more") {
      this.#awaitMore();
      return false;
    }
    if (header === "invalid") {
      this.#heard = true;
      this.#owner.headerRefused(this);
      this.#leave();
      return false;
    }
    this.#awaitedBy = undefined;
    // The client's message has its own time.
    if (this.#backoff?.end()) this.#transport.resume();
    this.#backoff = undefined;
    this.#kept = this.#received.slice(header.bytes);
    this.#keptBytes = this.#kept.length;
    if (header.address !== undefined) {
      this.#transport = reader.through(this.#transport, header.address);
      if (!this.#owner.addressTold(this, header.address)) return false;
    }
    return this.#keptBytes > 0;
  }
}

/** How long the socket may stay in its stage; infinite without a socket. */
export function leftMs(socket: AcceptedSocket | undefined, stageMs: number, time: number): number {
  return socket === undefined ? Number.POSITIVE_INFINITY : Math.max(stageMs - (time - socket.since), 0);
}

/**
 * The sockets that have been in the stage for this time, the oldest first, `most` of them. The caller removes each from
 * the line before it takes the next.
 */
export function* dueOf(
  line: Line<AcceptedSocket>,
  stageMs: number,
  time: number,
  most = Number.POSITIVE_INFINITY,
): Generator<AcceptedSocket> {
  for (let left = most; left > 0; left--) {
    const { first } = line;
    if (first === undefined || time - first.since < stageMs) return;
    yield first;
  }
}
