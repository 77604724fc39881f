// This adapter connects clients and servers within one process. It has the interface of the runtimes' socket adapters, and
// needs no ports, files or kernel. Delays use the runtime's clock.

import { SealwireError } from "../base/errors.ts";
import { now, runAtEndOfTurn, startTimer, yieldToEventLoop } from "../core/eventLoop.ts";
import type {
  Adapter,
  Address,
  DialEvents,
  ListenAddress,
  Listener,
  Transport,
  TransportEvents,
} from "../rpc/transport.ts";
import { dialFailed, listenFailed } from "./failures.ts";
import { type MemoryConditions, MemorySocket, ResetError } from "./memorySocket.ts";

/** How a network in memory behaves; every value is checked. */
export interface MemorySettings {
  readonly latencyMs: number;
  /** 0: without a limit. */
  readonly bytesPerSecond: number;
  readonly bufferBytes: number;
}

/** The longest piece that a kernel would deliver at once. */
const LONGEST_PIECE_BYTES = 65_536;
/** With a rate, one piece holds the bytes that arrive in this time. */
const PIECE_MS = 10;
/** The first port that port 0 assigns: the first dynamic port of IANA's list. */
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

/** An error with the code that a kernel would give. */
const systemError = (code: string): Error => Object.assign(new Error(`${code}, in memory`), { code });

function conditionsOf({ latencyMs, bytesPerSecond, bufferBytes }: MemorySettings): MemoryConditions {
  const limited = bytesPerSecond > 0;
  const pieceBytes = limited
    ? Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1_000))
    : LONGEST_PIECE_BYTES;
  return {
    now,
    after: (ms, run) => {
      if (ms > 0) startTimer(run, ms);
      else yieldToEventLoop(run);
    },
    delayMs: () => latencyMs,
    bufferBytes: () => bufferBytes,
    pieceBytes: () => Math.min(pieceBytes, LONGEST_PIECE_BYTES),
    restMs: (bytes) => (limited ? (bytes * 1_000) / bytesPerSecond : 0),
    tellsLater: () => false,
    resets: (unreadBytes) => unreadBytes > 0,
    closingMs: () => 0,
    give: (events, piece) => events.onData(piece),
  };
}

type Accept = (transport: Transport) => TransportEvents;

/** The key of a listener in the map. No path begins with a port, so no path is taken for a host. */
const listenKey = ({ host, port, path }: Address): string => path ?? `${port} ${host}`;
const IP = /^[\d.]+$|:/;
const ANY_HOST = new Set(["0.0.0.0", "::"]);

export class MemoryAdapter implements Adapter {
  readonly name = "memory";
  readonly defer = runAtEndOfTurn;
  readonly yieldToEventLoop = yieldToEventLoop;
  readonly #conditions: MemoryConditions;
  readonly #latencyMs: number;
  readonly #listeners = new Map<string, Accept>();
  /** The clients' ends of connections. A closed end is removed when another one is added. */
  readonly #clients = new Set<MemorySocket>();
  /** Names by the addresses that `resolve` gave them. */
  readonly #names = new Map<string, string>();
  #held = false;
  #nextPort = FIRST_PORT;

  constructor(settings: MemorySettings) {
    this.#conditions = conditionsOf(settings);
    this.#latencyMs = settings.latencyMs;
  }

  // ---- Adapter ----------------------------------------------------------------------------------------------

  async listen(address: ListenAddress, accept: Accept): Promise<Listener> {
    if (address.fd !== undefined || address.reusePort)
      throw new SealwireError("ERR_UNSUPPORTED", "a network in memory has neither fd nor reusePort");
    const own = address as Address;
    const port = own.path === undefined ? own.port || this.#freePort(own.host) : 0;
    const key = listenKey(own.path === undefined ? { host: own.host, port } : own);
    if (this.#listeners.has(key)) throw listenFailed(address, systemError("EADDRINUSE"));
    this.#listeners.set(key, accept);
    const close = async (): Promise<void> => {
      this.#listeners.delete(key);
    };
    return { port, acceptFailures: 0, close };
  }

  dial(address: Address, events: DialEvents): () => void {
    let over = false;
    const fail = (error: Error): void => {
      if (over) return;
      over = true;
      yieldToEventLoop(() => events.onClose(dialFailed(address, error)));
    };
    // One round trip: to the server and back.
    this.#conditions.after(2 * this.#latencyMs, () => {
      if (over) return;
      const accept = this.#acceptOf(address);
      if (accept === undefined)
        return fail(systemError(address.path === undefined ? "ECONNREFUSED" : "ENOENT"));
      over = true;
      this.#connect(address, accept, events);
    });
    return () => fail(new Error("dialling was given up"));
  }

  /** Every name has an address of its own. */
  async resolve(host: string): Promise<string[]> {
    if (IP.test(host)) return [host];
    const known = [...this.#names].find(([, name]) => name === host);
    if (known !== undefined) return [known[0]];
    const number = this.#names.size + 1;
    const address = `10.${number >> 16}.${(number >> 8) & 0xff}.${number & 0xff}`;
    this.#names.set(address, host);
    return [address];
  }

  // ---- What a test does to it -------------------------------------------------------------------------------

  get connections(): number {
    return this.#open().length;
  }

  async cut(): Promise<number> {
    const open = this.#open();
    for (const client of open) {
      client.close(new ResetError("the network was cut"));
      client.peer.close(new ResetError("the network was cut"));
    }
    // Runs after both ends have been told.
    await new Promise<void>((resolve) => this.#conditions.after(0, resolve));
    return open.length;
  }

  hold(): void {
    this.#held = true;
    for (const client of this.#open()) holdBoth(client);
  }

  release(): void {
    this.#held = false;
    for (const client of this.#open()) {
      client.endStall();
      client.peer.endStall();
    }
  }

  #open(): MemorySocket[] {
    for (const client of this.#clients) if (client.closed && client.peer.closed) this.#clients.delete(client);
    return [...this.#clients];
  }

  #acceptOf(address: Address): Accept | undefined {
    const { host } = address;
    const named = host === undefined ? address : { host: this.#names.get(host) ?? host, port: address.port };
    const own = this.#listeners.get(listenKey(named));
    if (own !== undefined || address.path !== undefined) return own;
    for (const any of ANY_HOST) {
      const accept = this.#listeners.get(listenKey({ host: any, port: address.port }));
      if (accept !== undefined) return accept;
    }
    return undefined;
  }

  #freePort(host: string): number {
    for (let tries = FIRST_PORT; tries <= LAST_PORT; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port === LAST_PORT ? FIRST_PORT : port + 1;
      if (!this.#listeners.has(listenKey({ host, port }))) return port;
    }
    throw new SealwireError("ERR_LISTEN_FAILED", "no port is free");
  }

  #connect(address: Address, accept: Accept, events: DialEvents): void {
    const remoteAddress = address.path === undefined ? "127.0.0.1" : "";
    const client = new MemorySocket(this.#conditions, remoteAddress);
    const server = new MemorySocket(this.#conditions, remoteAddress);
    client.peer = server;
    server.peer = client;
    client.events = events;
    this.#open();
    this.#clients.add(client);
    if (this.#held) holdBoth(client);
    server.events = accept(server);
    events.onConnected(client);
  }
}

function holdBoth(client: MemorySocket): void {
  client.stall(Number.POSITIVE_INFINITY);
  client.peer.stall(Number.POSITIVE_INFINITY);
}
