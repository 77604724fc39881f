// A client of several servers that do the same. Each address has a pool of connections of its own (endpointMember.ts);
// here is which of them takes a call, and what happens while none can.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { copyOf, requireBytes } from "../core/bytes.ts";
import { KIND_HEADER_BYTES, TAG_BYTES } from "../protocol/wire.ts";
import type { Client, ClientStats } from "./client.ts";
import { type ConnectedOptions, connectedWithin } from "./connectedWithin.ts";
import { checkCallOptions, checkRequestOptions } from "./connection.ts";
import type { EndpointMember } from "./endpointMember.ts";
import { EndpointRace } from "./endpointRace.ts";
import { EndpointSet, type EndpointsContext } from "./endpointSet.ts";
import { LaterCall } from "./laterCall.ts";
import type { Call, CallOptions, Connection, RequestOptions } from "./peer.ts";
import type { Caller, StickyClient } from "./stickyClient.ts";
import { WaitingCalls } from "./waitingCalls.ts";

/** Races in a row that one waiting call may see: what was found anew is tried, too. */
const MOST_RACES = 3;
/** How often a call may find that the endpoint that opened for it is gone again. */
const MOST_OPENINGS = 16;

export class EndpointsClient implements StickyClient {
  readonly #context: EndpointsContext;
  readonly #endpoints: EndpointSet;
  readonly #waiting: WaitingCalls;
  #race: EndpointRace | undefined;
  #racing = false;
  #closed: Promise<void> | undefined;

  constructor(context: EndpointsContext) {
    const { limits, maxConnections, keepConnected } = context;
    this.#context = context;
    this.#waiting = new WaitingCalls(limits.maxInFlightRequests * maxConnections, limits.maxPendingBytes);
    this.#endpoints = new EndpointSet(context, () => {
      this.#race?.stop();
      this.#waiting.resolveAny();
    });
    if (keepConnected) this.#endpoints.resolver.refreshIfStale();
  }

  get anonymous(): boolean {
    return this.#context.handshake.anonymous;
  }

  get connections(): readonly Connection[] {
    return this.#endpoints.members.flatMap(({ client }) => client.connections);
  }

  get stats(): ClientStats {
    const { totals } = this.#endpoints;
    return {
      ...totals,
      inFlightRequests: totals.inFlightRequests + this.#waiting.size,
      pendingBytes: totals.pendingBytes + this.#waiting.bytes,
      endpoints: this.#endpoints.members.map((member) => member.stats),
    };
  }

  send(body: Uint8Array): Promise<void> {
    return this.#send(undefined, body);
  }

  sendNoWait(body: Uint8Array): boolean {
    return this.#sendNoWait(undefined, body);
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    return this.#request(undefined, body, options);
  }

  call(body: Uint8Array, options?: CallOptions): Call {
    return this.#call(undefined, body, options);
  }

  sticky(key: string): Caller {
    if (typeof key !== "string") throw invalidArgument("key", "a string");
    return {
      send: (body) => this.#send(key, body),
      sendNoWait: (body) => this.#sendNoWait(key, body),
      request: (body, options) => this.#request(key, body, options),
      call: (body, options) => this.#call(key, body, options),
    };
  }

  connected(options?: ConnectedOptions): Promise<Connection> {
    return connectedWithin(async () => {
      const member = await this.#opened(undefined, 0, 0, undefined);
      return member.client.connected();
    }, options);
  }

  ref(): void {
    this.#endpoints.keepAlive(true);
  }

  unref(): void {
    this.#endpoints.keepAlive(false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#race?.stop();
    this.#waiting.rejectAll(closedError());
    await this.#endpoints.close();
    this.#context.wipeKeys();
  }

  // ---- Calls --------------------------------------------------------------------------------------------

  #send(key: string | undefined, body: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const member = this.#endpoints.choose(key);
    if (member !== undefined) return member.client.send(body);
    return this.#later(key, body, 0, undefined, (client, copy) => client.send(copy));
  }

  #sendNoWait(key: string | undefined, body: Uint8Array): boolean {
    this.#checkBody(body);
    if (this.#closed !== undefined) return false;
    const member = this.#endpoints.choose(key) ?? this.#endpoints.any;
    return member?.client.sendNoWait(body) ?? false;
  }

  #request(key: string | undefined, body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const member = this.#endpoints.choose(key);
    if (member !== undefined) return member.client.request(body, options);
    const { signal, timeoutMs = this.#context.limits.requestTimeoutMs } =
      options === undefined ? {} : checkRequestOptions(options);
    if (signal?.aborted) {
      const { reason: cause } = signal;
      return Promise.reject(new SealwireError("ERR_ABORTED", "the request was aborted", { cause }));
    }
    const startedAt = performance.now();
    return this.#later(key, body, timeoutMs, signal, (client, copy) => {
      const passedMs = performance.now() - startedAt;
      const leftMs = timeoutMs === 0 ? 0 : Math.max(Math.ceil(timeoutMs - passedMs), 1);
      return client.request(copy, { ...options, timeoutMs: leftMs });
    });
  }

  #call(key: string | undefined, body: Uint8Array, options: CallOptions = {}): Call {
    if (this.#closed !== undefined) throw closedError();
    const member = this.#endpoints.choose(key);
    if (member !== undefined) return member.client.call(body, options);
    const { signal, timeoutMs = this.#context.limits.requestTimeoutMs } = checkCallOptions(options);
    const startedAt = performance.now();
    const made = this.#later(key, body, timeoutMs, signal, async (client, copy) => {
      const passedMs = performance.now() - startedAt;
      const leftMs = timeoutMs === 0 ? 0 : Math.max(Math.ceil(timeoutMs - passedMs), 1);
      return client.call(copy, { ...options, timeoutMs: leftMs });
    });
    return new LaterCall(made);
  }

  /** None is open: the call waits, and the body with it. */
  #later<T>(
    key: string | undefined,
    body: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    call: (client: Client, copy: Uint8Array) => Promise<T>,
  ): Promise<T> {
    this.#checkBody(body);
    const opened = this.#opened(key, body.length, timeoutMs, signal);
    const copy = copyOf(body);
    return opened.then((member) => call(member.client, copy)).finally(() => copy.fill(0));
  }

  #checkBody(body: Uint8Array): void {
    requireBytes("body", body);
    const { maxFrameBytes } = this.#context.limits;
    const frameBytes = body.length + KIND_HEADER_BYTES + TAG_BYTES;
    if (frameBytes <= maxFrameBytes) return;
    const text = `a body of ${body.length} bytes makes a frame of ${frameBytes} bytes, limit ${maxFrameBytes}`;
    throw new SealwireError("ERR_MESSAGE_TOO_LARGE", text);
  }

  /** An open member for a call, now or as soon as there is one. */
  async #opened(
    key: string | undefined,
    bytes: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<EndpointMember> {
    const end = performance.now() + timeoutMs;
    for (let i = 0; i < MOST_OPENINGS + this.#endpoints.size; i++) {
      if (this.#closed !== undefined) throw closedError();
      const member = this.#endpoints.choose(key);
      if (member !== undefined) return member;
      const leftMs = timeoutMs === 0 ? 0 : Math.max(Math.ceil(end - performance.now()), 1);
      const one = key === undefined ? undefined : this.#endpoints.byKey(key)?.connect();
      const opened = this.#waiting.wait(bytes, leftMs, signal, one);
      if (one === undefined) this.#startRaces();
      await opened;
    }
    throw new SealwireError("ERR_CONNECTION_LOST", "the endpoints close as soon as they are open");
  }

  // ---- Races for those that wait ------------------------------------------------------------------------

  #startRaces(): void {
    if (this.#racing) return;
    this.#racing = true;
    this.#runRaces().then(
      (error) => {
        this.#racing = false;
        // Waiting calls were resolved if one opened; else they learn why not.
        if (error !== undefined) this.#waiting.rejectAny(error);
        else if (this.#endpoints.anyOpen) this.#waiting.resolveAny();
        else if (this.#waiting.waitForAny) this.#startRaces();
      },
      (error) => {
        this.#racing = false;
        this.#waiting.rejectAny(error);
      },
    );
  }

  /** Undefined when an endpoint opened; else why none did. */
  async #runRaces(): Promise<unknown> {
    const tried = new Set<EndpointMember>();
    let error: unknown;
    for (let i = 0; i < MOST_RACES && this.#closed === undefined; i++) {
      this.#endpoints.resolver.refreshIfStale();
      let order = this.#endpoints.order(tried);
      if (order.length === 0) {
        // The first lookup, or what was found has failed: it may be old.
        if (this.#context.canChange || tried.size === 0) await this.#endpoints.resolver.refreshSoon();
        order = this.#endpoints.order(tried);
      }
      if (order.length === 0 || this.#closed !== undefined) break;
      for (const member of order) tried.add(member);
      this.#race = new EndpointRace(order);
      error = await this.#race.outcome;
      if (error === undefined) return undefined;
    }
    if (this.#closed !== undefined) return closedError();
    return error ?? notFound(this.#endpoints.resolver.error);
  }
}

function closedError(): SealwireError {
  return new SealwireError("ERR_CLOSED", "the client is closed");
}

function notFound(cause: unknown): SealwireError {
  if (cause instanceof SealwireError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SealwireError("ERR_DIAL_FAILED", `the endpoints could not be found: ${why}`, { cause });
}
