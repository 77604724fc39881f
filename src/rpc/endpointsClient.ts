// A client of several equivalent servers. Each address has its own pool of connections (endpointMember.ts). This file
// decides which address takes a call, and lets calls wait while none can. It is loaded, with all that it needs, by the
// first call of such a client (loadedClient.ts).

import { copyOf } from "../core/bytes.ts";
import type { PendingCall } from "./call.ts";
import { callOptionNames, requestOptionNames, sendOptionNames } from "./callOptions.ts";
import { CallRoute, type RouteOwner } from "./callRoute.ts";
import type { ClientStats, RpcClient } from "./client.ts";
import { abortedError, checkBody, closedError } from "./clientErrors.ts";
import { EndpointOpening } from "./endpointOpening.ts";
import { EndpointSet, type EndpointsContext } from "./endpointSet.ts";
import { KeptBodies } from "./keptBodies.ts";
import { keptOptions } from "./keptOptions.ts";
import { LaterCall } from "./laterCall.ts";
import { MovableCall } from "./movableCall.ts";
import type { Call, CallOptions, Connection, RequestOptions, SendOptions } from "./peer.ts";

/** Makes a call at the client of one endpoint; the body is copied before it returns. */
type Again<T> = (client: RpcClient, body: Uint8Array) => T;

/** With each call goes the key that it sticks to, or none. */
export class EndpointsClient {
  readonly #context: EndpointsContext;
  readonly #endpoints: EndpointSet;
  readonly #opening: EndpointOpening;
  readonly #kept: KeptBodies;
  readonly #owner: RouteOwner;
  #closed: Promise<void> | undefined;

  /** @param told the client that the subscribers of channels are told */
  constructor(context: EndpointsContext, told: object) {
    const { limits } = context;
    this.#context = context;
    this.#endpoints = new EndpointSet(context, told, {
      onOpen: () => this.#opening.opened(),
      onJoined: () => this.#opening.joined(),
    });
    this.#opening = new EndpointOpening(context, this.#endpoints);
    this.#kept = new KeptBodies(limits.maxPendingBytes);
    this.#owner = {
      isClosed: () => this.#closed !== undefined,
      elsewhere: (key, tried) => this.#endpoints.elsewhere(key, tried),
      opened: (key, bytes, timeoutMs, signal) => this.#opening.wait(key, bytes, timeoutMs, signal),
    };
  }

  get connections(): readonly Connection[] {
    return this.#endpoints.members.flatMap(({ client }) => client.connections);
  }

  get stats(): ClientStats {
    const { totals } = this.#endpoints;
    return {
      ...totals,
      inFlightRequests: totals.inFlightRequests + this.#opening.waitingCalls,
      pendingBytes: totals.pendingBytes + this.#opening.waitingBytes,
      endpoints: this.#endpoints.members.map((member) => member.stats),
      lookups: this.#endpoints.resolver.lookups,
      lookupError: this.#endpoints.resolver.error,
    };
  }

  async connected(key: string | undefined): Promise<Connection> {
    for (;;) {
      const member = await this.#opening.wait(key, 0, 0, undefined);
      const [connection] = member.client.connections;
      // It may have been lost, or have left, since it opened.
      if (connection !== undefined) return connection;
    }
  }

  /** Somebody calls: looks the endpoints up if that is due. */
  lookUp(): void {
    this.#endpoints.resolver.refreshIfStale();
  }

  ref(): void {
    this.#endpoints.keepAlive(true);
  }

  unref(): void {
    this.#endpoints.keepAlive(false);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#opening.close();
    await this.#endpoints.close();
    this.#context.wipeKeys();
  }

  // ---- Calls --------------------------------------------------------------------------------------------

  send(key: string | undefined, body: Uint8Array, options?: SendOptions): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const member = this.#endpoints.choose(key);
    // With credit the message is being sent when this returns. Nobody knows then what became of it, so it never moves.
    if (member !== undefined && !member.client.lacksCredit) return member.client.send(body, options);
    const kept = options === undefined ? undefined : keptOptions(options, sendOptionNames);
    const route = this.#route(key, body, 0, undefined);
    const again: Again<Promise<void>> = (client, copy) => client.send(copy, kept);
    if (member === undefined)
      return this.#later(route, body, (client, copy) =>
        this.#follow(again(client, copy), route, copy, again),
      );
    route.begins(member);
    return this.#follow(again(member.client, body), route, body, again);
  }

  sendNoWait(key: string | undefined, body: Uint8Array): boolean {
    checkBody(body, this.#context.limits.maxFrameBytes);
    if (this.#closed !== undefined) return false;
    const member = this.#endpoints.choose(key) ?? this.#endpoints.any;
    return member?.client.sendNoWait(body) ?? false;
  }

  request(key: string | undefined, body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const member = this.#endpoints.choose(key);
    const kept = options === undefined ? {} : keptOptions(options, requestOptionNames);
    const answer = member?.client.request(body, options && kept);
    const { signal, timeoutMs = this.#context.limits.requestTimeoutMs } = kept;
    const route = this.#route(key, body, timeoutMs, signal);
    const again: Again<Promise<Uint8Array>> = (client, copy) =>
      client.request(copy, { ...kept, timeoutMs: route.leftMs });
    if (member !== undefined && answer !== undefined) {
      route.begins(member);
      return this.#follow(answer, route, body, again);
    }
    if (!signal?.aborted)
      return this.#later(route, body, (client, copy) =>
        this.#follow(again(client, copy), route, copy, again),
      );
    return Promise.reject(abortedError(signal));
  }

  call(key: string | undefined, body: Uint8Array, options: CallOptions = {}): Call {
    if (this.#closed !== undefined) throw closedError();
    const member = this.#endpoints.choose(key);
    const kept = keptOptions(options, callOptionNames);
    const call = member?.client.call(body, kept);
    const { signal, timeoutMs = this.#context.limits.requestTimeoutMs } = kept;
    const route = this.#route(key, body, timeoutMs, signal);
    const again: Again<PendingCall> = (client, copy) =>
      client.call(copy, { ...kept, timeoutMs: route.leftMs });
    if (member !== undefined && call !== undefined) {
      route.begins(member);
      return this.#movable(call, route, body, again);
    }
    return new LaterCall(
      this.#later(route, body, (client, copy) => this.#movable(again(client, copy), route, copy, again)),
      this.#context.limits.maxPendingBytes,
    );
  }

  #route(
    key: string | undefined,
    body: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): CallRoute {
    return new CallRoute(this.#owner, key, body.length, timeoutMs, signal);
  }

  // ---- Waiting and moving -------------------------------------------------------------------------------

  /** No endpoint is open: the call and its body wait. */
  #later<T>(route: CallRoute, body: Uint8Array, make: Again<T | Promise<T>>): Promise<T> {
    checkBody(body, this.#context.limits.maxFrameBytes);
    const first = route.first();
    const copy = copyOf(body);
    const wipe = (): void => void copy.fill(0);
    // The client that makes the call copies the body before it returns.
    const made = first.then(({ client }) => ({ result: make(client, copy) })).finally(wipe);
    return made.then(({ result }) => result);
  }

  /** The outcome of a call, or of its repetition at another endpoint if it was not begun. */
  #follow<T>(first: Promise<T>, route: CallRoute, body: Uint8Array, again: Again<Promise<T>>): Promise<T> {
    const copy = this.#kept.copy(body);
    if (copy === undefined) return first;
    return followed(first, route, copy, again).finally(() => this.#kept.forget(copy));
  }

  #movable(call: PendingCall, route: CallRoute, body: Uint8Array, again: Again<PendingCall>): Call {
    const copy = this.#kept.copy(body);
    if (copy === undefined) return call;
    const next = (error: unknown) => route.next(error)?.then(({ client }) => again(client, copy));
    const { maxPendingBytes } = this.#context.limits;
    return new MovableCall(call, next, () => this.#kept.forget(copy), maxPendingBytes);
  }
}

async function followed<T>(
  first: Promise<T>,
  route: CallRoute,
  copy: Uint8Array,
  again: Again<Promise<T>>,
): Promise<T> {
  let outcome = first;
  for (;;) {
    try {
      return await outcome;
    } catch (error) {
      const next = route.next(error);
      if (next === undefined) throw error;
      outcome = again((await next).client, copy);
    }
  }
}
