// The addresses that a client with several endpoints knows now, and which of them takes a call.

import type { RpcClient } from "./client.ts";
import type { ClientContext } from "./connectionPool.ts";
import { type ConnectionTotals, sumTotals } from "./connectionStats.ts";
import { EndpointMember, type MemberEvents } from "./endpointMember.ts";
import type { CheckedEndpoint, EndpointSource } from "./endpointOptions.ts";
import { EndpointResolver, interleave, type Target } from "./endpointResolver.ts";
import { byRendezvous } from "./rendezvous.ts";

export interface EndpointsContext extends Omit<ClientContext, "address">, EndpointSource {
  /** The context of one endpoint: its keys, and what releases them. */
  readonly contextOf: (endpoint: CheckedEndpoint) => Pick<ClientContext, "handshake" | "wipeKeys">;
}

/** A lookup takes as long as the system's resolver, which tries several servers. */
const LOOKUP_TIMEOUT_MS = 15_000;

export class EndpointSet implements MemberEvents {
  readonly #context: EndpointsContext;
  readonly #onOpen: () => void;
  readonly resolver: EndpointResolver;
  readonly #members = new Map<string, EndpointMember>();
  /** Closed since they are no endpoints any more; their calls finish. */
  readonly #leaving = new Map<EndpointMember, Promise<void>>();
  /** Those that calls may go to, and those of them that are open. */
  #choice: EndpointMember[] = [];
  #open: EndpointMember[] = [];
  /** Of members that are gone. */
  #gone: ConnectionTotals = sumTotals([]);
  #keepsAlive = true;

  /** @param onOpen told when a connection opened */
  constructor(context: EndpointsContext, onOpen: () => void) {
    this.#context = context;
    this.#onOpen = onOpen;
    const { find, resolve } = context;
    this.resolver = new EndpointResolver(find, resolve, LOOKUP_TIMEOUT_MS, (targets) => this.#take(targets));
  }

  get members(): readonly EndpointMember[] {
    return [...this.#members.values()];
  }

  get size(): number {
    return this.#members.size;
  }

  get anyOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Of those that calls may go to, any. */
  get any(): EndpointMember | undefined {
    return pick(this.#choice) ?? pick(this.members);
  }

  /** Of all members there have been. */
  get totals(): ConnectionTotals & { readonly connections: number } {
    const all = this.#withLeaving.map(({ client }) => client.stats);
    const connections = all.reduce((sum, stats) => sum + stats.connections, 0);
    return { connections, ...sumTotals([this.#gone, ...all]) };
  }

  /** Whether idle connections, and pauses between dials and lookups, keep the process alive. */
  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.resolver.keepAlive(on);
    for (const { client } of this.#withLeaving) keepAlive(client, on);
  }

  get #withLeaving(): EndpointMember[] {
    return [...this.#members.values(), ...this.#leaving.keys()];
  }

  /** Closes all, and waits until those that left are gone, too. */
  async close(): Promise<void> {
    this.resolver.close();
    await Promise.all([...this.members.map((member) => member.close()), ...this.#leaving.values()]);
    await this.resolver.underWay;
  }

  // ---- The choice ---------------------------------------------------------------------------------------

  /** The open member that takes a call; undefined when it has to wait. Others may be dialled besides. */
  choose(key: string | undefined): EndpointMember | undefined {
    this.resolver.refreshIfStale();
    this.#probe();
    if (key !== undefined) {
      const first = this.byKey(key);
      return first?.state === "open" ? first : undefined;
    }
    const [first, second] = pickTwo(this.#choice);
    if (first === undefined || second === undefined) return undefined;
    for (const picked of [first, second])
      if (picked.state === "idle" && this.#open.length > 0) picked.connect();
    if (first.state === "open" && second.state === "open") return lessLoaded(first, second);
    return lessLoaded(...pickTwo(this.#open));
  }

  /** An open member that is none of `tried`; with a key, the one that the key belongs to, if it is none of them. */
  elsewhere(key: string | undefined, tried: readonly EndpointMember[]): EndpointMember | undefined {
    if (key === undefined) return lessLoaded(...pickTwo(this.#open.filter((open) => !tried.includes(open))));
    const first = this.byKey(key);
    return first?.state === "open" && !tried.includes(first) ? first : undefined;
  }

  /** The first one by rendezvous that has not failed. */
  byKey(key: string): EndpointMember | undefined {
    return byRendezvous(key, this.#choice, ({ target }) => target.key)[0];
  }

  /** A failing member whose pause is over is dialled, without a call: one at a time. */
  #probe(): void {
    if (this.#choice.length === this.#members.size) return;
    const now = performance.now();
    for (const member of this.#members.values()) {
      if (member.state === "failing" && member.notBefore <= now) {
        member.connect();
        return;
      }
    }
  }

  #sort(): void {
    this.#choice = [...this.#members.values()].filter((member) => member.isInChoice);
    this.#open = this.#choice.filter((member) => member.state === "open");
  }

  // ---- What is found, and what members tell ---------------------------------------------------------------

  #take(targets: readonly Target[]): void {
    const keys = new Set(targets.map(({ key }) => key));
    for (const target of targets) if (!this.#members.has(target.key)) this.#add(target);
    for (const [key, member] of [...this.#members]) if (!keys.has(key)) this.#leave(key, member);
    this.#sort();
  }

  #add(target: Target): void {
    const { endpoint, address } = target;
    const keys = this.#context.contextOf(endpoint);
    const context = { ...this.#context, ...keys, address, dialledAddress: endpoint.name };
    const member = new EndpointMember(target, context, this);
    if (!this.#keepsAlive) member.client.unref();
    this.#members.set(target.key, member);
  }

  /** It is no endpoint any more: what it has finishes, as with `close`. */
  #leave(key: string, member: EndpointMember): void {
    this.#members.delete(key);
    const left = member.close().then(() => {
      this.#gone = sumTotals([this.#gone, member.client.stats]);
      this.#leaving.delete(member);
    });
    this.#leaving.set(member, left);
  }

  /** Those that have not failed in front; the others by when they may be tried again. */
  order(tried: ReadonlySet<EndpointMember>): EndpointMember[] {
    const untried = [...this.#members.values()].filter((member) => !tried.has(member));
    const [well, failing] = [untried.filter((m) => m.isInChoice), untried.filter((m) => !m.isInChoice)];
    const ordered = interleave(well.map(({ target }) => target)).map(({ key }) => this.#members.get(key)!);
    return [...ordered, ...failing.sort((a, b) => a.notBefore - b.notBefore)];
  }

  onOpen(): void {
    this.#sort();
    this.#onOpen();
  }

  onChange(): void {
    this.#sort();
  }

  onFailure(): void {
    this.resolver.invalidate();
  }
}

function keepAlive(client: RpcClient, on: boolean): void {
  if (on) client.ref();
  else client.unref();
}

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}

/** Two different ones, as far as there are two. */
function pickTwo<T>(list: readonly T[]): [T | undefined, T | undefined] {
  const { length } = list;
  const first = Math.floor(Math.random() * length);
  const after = 1 + Math.floor(Math.random() * (length - 1));
  return [list[first], length > 1 ? list[(first + after) % length] : list[first]];
}

function lessLoaded(
  one: EndpointMember | undefined,
  other: EndpointMember | undefined,
): EndpointMember | undefined {
  return other !== one && other !== undefined && one !== undefined && other.load < one.load ? other : one;
}
