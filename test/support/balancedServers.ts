// Servers of three runtimes in processes of their own, and calls that never stop while servers are killed, drained and
// started again. It records which server answered which call, and which calls were lost with which server.

import { fileURLToPath } from "node:url";
import { runtimes } from "../../scripts/runtimes.js";
import type { Client, Connection } from "../../src/index.ts";
import { JsonProcess, until } from "./childProcess.ts";

const echoServer = fileURLToPath(new URL("echoServer.js", import.meta.url));
export const psk = "5e".repeat(32);
/** What docs/OPERATIONS.md states: so long after a server is back, it has its part of the calls again. */
export const SPREAD_WITHIN_MS = 10_000;
/** A server has its part of the calls when of so many it answered a tenth. */
const SAMPLE = 60;
/** Bodies of this length are answered after so long (echoServer.js). */
const SLOW_BYTES = 4;
const SLOW_MS = 200;
/** As docs/OPERATIONS.md says of graceMs: longer than those who send clients need to notice. */
const GRACE_MS = 1_500;

type Runtime = ReturnType<typeof runtimes>[number];

/** A Node, a Bun and a Deno, those that are here. */
export const threeRuntimes: readonly Runtime[] = ["node", "bun", "deno"].flatMap(
  (role) => runtimes().find((runtime) => runtime.roles.includes(role)) ?? [],
);

/** A server that answers with its process id; "slow" after 200 ms. */
export function startEcho(runtime: Runtime, options: object): JsonProcess {
  const given = JSON.stringify({ psk, ...options });
  return new JsonProcess(runtime, echoServer, [given], { env: { GRACE_MS: `${GRACE_MS}` } });
}

export interface Failure {
  readonly code: string;
  readonly notBegun: boolean;
  readonly phase: string;
  /** Who answered another call on the same connection; undefined: nobody ever did, or there was no connection. */
  readonly pid: number | undefined;
  /** The call had a connection that had opened. */
  readonly wasOpen: boolean;
}

/** Calls without end. */
export class Load {
  readonly failures: Failure[] = [];
  /** Of connections: who is behind them. */
  readonly #pids = new WeakMap<Connection, number>();
  #sample = new Map<number, number>();
  #counted = 0;
  /** Slow calls that are under way: since when, and who has them; undefined where nobody knows yet. */
  readonly #slow = new Set<{ readonly began: number; readonly whoHas: () => number | undefined }>();
  phase = "before";
  calls = 0;
  settled = 0;
  #running = true;
  readonly #workers: Promise<void>[];

  /**
   * @param clientOf gives each worker a client for twenty calls, one after the other
   * @param done takes it back
   */
  constructor(count: number, clientOf: () => Client, done: (client: Client) => Promise<void>) {
    this.#workers = Array.from({ length: count }, () => this.#work(clientOf, done));
  }

  async #work(clientOf: () => Client, done: (client: Client) => Promise<void>): Promise<void> {
    while (this.#running) {
      const client = clientOf();
      for (let i = 0; i < 20 && this.#running; i++) {
        // Every fifth one takes its time, so that some are under way whatever happens when.
        await this.#call(client, i % 5 === 4 ? SLOW_BYTES : 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await done(client);
    }
  }

  async #call(client: Client, bytes: number): Promise<void> {
    this.calls++;
    const call = client.call(new Uint8Array(bytes), { streams: false });
    const { answer } = call;
    let connection = call.connection;
    const whoHas = (): number | undefined => {
      connection = call.connection ?? connection;
      return connection && this.#pids.get(connection);
    };
    const slow = { began: performance.now(), whoHas };
    if (bytes === SLOW_BYTES) this.#slow.add(slow);
    try {
      const pid = Number(new TextDecoder().decode(await answer));
      connection = call.connection ?? connection;
      if (connection !== undefined) this.#pids.set(connection, pid);
      this.#sample.set(pid, (this.#sample.get(pid) ?? 0) + 1);
      this.#counted++;
    } catch (error) {
      const { code, notBegun } = error as { code: string; notBegun: boolean };
      connection = call.connection ?? connection;
      const pid = connection && this.#pids.get(connection);
      const wasOpen = connection?.identity !== undefined;
      this.failures.push({ code, notBegun, phase: this.phase, pid, wasOpen });
    }
    this.#slow.delete(slow);
    this.settled++;
  }

  /** Calls that this server has and can't have answered yet. */
  underWayAt(pid: number): number {
    const since = performance.now() - SLOW_MS / 2;
    return [...this.#slow].filter(({ began, whoHas }) => began > since && whoHas() === pid).length;
  }

  failuresIn(phase: string): Failure[] {
    return this.failures.filter((failure) => failure.phase === phase);
  }

  /** Waits until each of these, and nobody else, has a part of the calls. Returns how long it took. */
  async spreadsOver(pids: readonly number[], withinMs = SPREAD_WITHIN_MS): Promise<number> {
    const began = performance.now();
    const restart = (): void => {
      this.#sample = new Map();
      this.#counted = 0;
    };
    restart();
    const wanted = [...pids].sort().join();
    await until(
      () => {
        if (this.#counted < SAMPLE) return false;
        const isSpread =
          [...this.#sample.keys()].sort().join() === wanted &&
          pids.every((pid) => this.#sample.get(pid)! >= SAMPLE / 10);
        if (!isSpread) restart();
        return isSpread;
      },
      `calls to spread over ${wanted}`,
      withinMs,
    );
    return performance.now() - began;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }
}
