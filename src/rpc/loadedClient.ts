// The client of several endpoints, as far as it is there: its code is loaded by the first call, so that clients of one
// server are spared it. Calls wait meanwhile, with the limits, deadlines and signals of calls that wait for a connection.

import { loadPart } from "../base/loadPart.ts";
import { copyOf } from "../core/bytes.ts";
import { now } from "../core/eventLoop.ts";
import { wipe } from "../core/wipe.ts";
import type { ClientStats } from "./client.ts";
import { checkBody, closedError } from "./clientErrors.ts";
import { sumTotals } from "./connectionStats.ts";
import type { EndpointsContext } from "./endpointSet.ts";
import type { EndpointsClient } from "./endpointsClient.ts";
import { WaitingCalls } from "./waitingCalls.ts";

export class LoadedClient {
  readonly #context: EndpointsContext;
  /** The client that the subscribers of channels are told. */
  #told!: object;
  readonly #waiting: WaitingCalls;
  #client: EndpointsClient | undefined;
  #loading = false;
  #closed: Promise<void> | undefined;
  #keepsAlive = true;
  /** Why the code could not be loaded last. */
  #error: unknown;

  constructor(context: EndpointsContext) {
    const { limits, maxConnections } = context;
    this.#context = context;
    this.#waiting = new WaitingCalls(limits.maxInFlightRequests * maxConnections, limits.maxPendingBytes);
  }

  /** @param told the client that the subscribers of channels are told */
  start(told: object): void {
    this.#told = told;
    if (this.#context.keepConnected) this.#load();
  }

  get limits(): EndpointsContext["limits"] {
    return this.#context.limits;
  }

  get anonymous(): boolean {
    return this.#context.anonymous;
  }

  get stats(): ClientStats {
    return (
      this.#client?.stats ?? {
        connections: 0,
        ...sumTotals([]),
        inFlightRequests: this.#waiting.size,
        pendingBytes: this.#waiting.bytes,
        endpoints: [],
        lookups: 0,
        lookupError: this.#error,
      }
    );
  }

  /** Undefined until a call has loaded it. */
  get now(): EndpointsClient | undefined {
    return this.#client;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** What is not to wait finds nobody. False; the endpoints are looked up for what comes later. */
  prepare(body: Uint8Array): boolean {
    checkBody(body, this.#context.limits.maxFrameBytes);
    this.#load();
    return false;
  }

  /**
   * @param timeoutMs 0: no limit
   * @throws what a signal that is not the runtime's throws. Rejects: ERR_CLOSED, ERR_UNSUPPORTED, and what
   *   `WaitingCalls.wait` rejects with.
   */
  wait(bytes: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<EndpointsClient> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const waited = this.#waiting.wait(bytes, timeoutMs, signal);
    this.#load();
    // It is there when the wait ends well.
    return waited.then(() => this.#client!);
  }

  /** Makes a call at the client once it is there. The body is copied meanwhile, and the copy wiped. */
  later<T>(
    body: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    make: (client: EndpointsClient, copy: Uint8Array, leftMs: number) => T | Promise<T>,
  ): Promise<T> {
    checkBody(body, this.#context.limits.maxFrameBytes);
    const startedAt = now();
    const loaded = this.wait(body.length, timeoutMs, signal);
    const copy = copyOf(body);
    const leftMs = (): number =>
      timeoutMs === 0 ? 0 : Math.max(Math.ceil(timeoutMs - (now() - startedAt)), 1);
    // Whoever makes the call copies the body before it returns.
    const made = loaded
      .then((client) => ({ result: make(client, copy, leftMs()) }))
      .finally(() => wipe(copy));
    return made.then(({ result }) => result);
  }

  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    if (on) this.#client?.ref();
    else this.#client?.unref();
  }

  close(): Promise<void> {
    this.#closed ??= this.#client?.close() ?? this.#giveUp();
    return this.#closed;
  }

  /** Closed before it was there: it never will be. */
  #giveUp(): Promise<void> {
    this.#context.wipeKeys();
    this.#waiting.close();
    return Promise.resolve();
  }

  #load(): void {
    // A signal that is not the runtime's may have closed the client when it was asked.
    if (this.#loading || this.#client !== undefined || this.isClosed) return;
    this.#loading = true;
    loadPart("several endpoints", () => import("./endpointsClient.ts"))
      .then(({ EndpointsClient }) => {
        if (this.#closed !== undefined) return;
        const client = new EndpointsClient(this.#context, this.#told);
        if (!this.#keepsAlive) client.unref();
        client.lookUp();
        this.#client = client;
        this.#error = undefined;
        this.#waiting.resolveAny();
      })
      .catch((error) => {
        this.#error = error;
        this.#waiting.rejectAll(error);
      })
      .finally(() => {
        this.#loading = false;
      });
  }
}
