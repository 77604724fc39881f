// The addresses that a client with several endpoints knows now, and which of them takes a call.

import { now } from "../core/eventLoop.ts";
import { attemptOrder } from "./attemptOrder.ts";
import type { RpcClient } from "./client.ts";
import type { ClientContext } from "./connectionPool.ts";
import { type ConnectionTotals, sumTotals } from "./connectionStats.ts";
import { Choice, firstPriority, lessLoaded } from "./endpointChoice.ts";
import { type Found, TargetFinder } from "./endpointLookup.ts";
import { EndpointMember, type MemberEvents } from "./endpointMember.ts";
import { EndpointNews, type LeavingReason } from "./endpointNews.ts";
import { type CheckedEndpoint, type EndpointSource, MOST_ENDPOINTS } from "./endpointOptions.ts";
import { EndpointRace } from "./endpointRace.ts";
import { EndpointResolver, type FindTargets, type ResolverEvents } from "./endpointResolver.ts";
import type { Target } from "./endpointTargets.ts";
import { type KeyOwners, keyOwners } from "./rendezvous.ts";
import { StandingLookups } from "./standingLookups.ts";

export interface EndpointsContext extends Omit<ClientContext, "address">, EndpointSource {
  /** The context of one endpoint: its keys, and the function that wipes them. */
  readonly contextOf: (endpoint: CheckedEndpoint) => EndpointContext;
  /** Nothing identifies some of the servers. */
  readonly anonymous: boolean;
}

type EndpointContext = Pick<ClientContext, "handshake" | "wipeKeys">;

/** A lookup takes as long as the system's resolver, which tries several servers. */
const LOOKUP_TIMEOUT_MS = 15_000;

export interface SetEvents {
  /** A connection opened. */
  onOpen(): void;
  /** There are new members. */
  onJoined(): void;
}

export class EndpointSet implements MemberEvents, ResolverEvents {
  readonly #context: EndpointsContext;
  readonly #events: SetEvents;
  readonly #news: EndpointNews;
  readonly resolver: EndpointResolver;
  /** Set at the first lookup. */
  #finder: TargetFinder | undefined;
  /** With `keepConnected`: set at the first lookup. */
  #standing: StandingLookups | undefined;
  readonly #members = new Map<string, EndpointMember>();
  /** Members that left and are closing; their calls finish. */
  readonly #leaving = new Map<EndpointMember, Promise<void>>();
  /** The number of members that have not failed, and the choice among those of the first priority. */
  #well = 0;
  #choice = new Choice<EndpointMember>([]);
  /** Of the members in `#choice`. */
  #owners: KeyOwners<EndpointMember> | undefined;
  /** The open members of the first priority that has some. */
  #open = new Choice<EndpointMember>([]);
  /** The earliest time at which a failing member may be probed, by the monotonic clock. */
  #probeNotBefore = Number.NEGATIVE_INFINITY;
  /** The totals of members that are gone. */
  #gone: ConnectionTotals = sumTotals([]);
  #keepsAlive = true;

  /** @param client the client that the messages of the channels name */
  constructor(context: EndpointsContext, client: object, events: SetEvents) {
    this.#context = context;
    this.#events = events;
    this.#news = new EndpointNews(client);
    this.resolver = new EndpointResolver(this.#find, LOOKUP_TIMEOUT_MS, this.#news, this);
    if (context.keepConnected) this.resolver.refreshIfStale();
  }

  get members(): readonly EndpointMember[] {
    return [...this.#members.values()];
  }

  get size(): number {
    return this.#members.size;
  }

  get anyOpen(): boolean {
    return this.#open.members.length > 0;
  }

  /** Any member that calls may go to. */
  get any(): EndpointMember | undefined {
    return this.#choice.pick() ?? new Choice(this.members).pick();
  }

  /** The totals of all members, including closed ones. */
  get totals(): ConnectionTotals & { readonly connections: number } {
    const all = this.#withLeaving.map(({ client }) => client.stats);
    const connections = all.reduce((sum, stats) => sum + stats.connections, 0);
    return { connections, ...sumTotals([this.#gone, ...all]) };
  }

  /** Whether idle connections, and pauses between dials and lookups, keep the process alive. */
  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    this.resolver.keepAlive(on);
    this.#standing?.keepAlive(on);
    for (const { client } of this.#withLeaving) keepAlive(client, on);
  }

  get #withLeaving(): EndpointMember[] {
    return [...this.#members.values(), ...this.#leaving.keys()];
  }

  /** Closes all members, and waits for those that left earlier. */
  async close(): Promise<void> {
    this.#standing?.close();
    this.resolver.close();
    const closed = this.members.map((member) => this.#closeMember(member, "closed"));
    await Promise.all([...closed, ...this.#leaving.values()]);
    await this.resolver.underWay;
  }

  // ---- The choice ---------------------------------------------------------------------------------------

  /** The open member that takes a call; undefined if the call has to wait. Other members may be dialled. */
  choose(key: string | undefined): EndpointMember | undefined {
    this.resolver.refreshIfStale();
    this.#probe();
    if (key !== undefined) {
      const first = this.byKey(key);
      return first?.state === "open" ? first : undefined;
    }
    const [first, second] = this.#choice.pickTwo();
    if (first === undefined || second === undefined) return undefined;
    for (const picked of [first, second]) if (picked.state === "idle" && this.anyOpen) picked.connect();
    if (first.state === "open" && second.state === "open") return lessLoaded(first, second);
    return lessLoaded(...this.#open.pickTwo());
  }

  /** An open member that is not in `tried`; with a key only the member of that key. */
  elsewhere(key: string | undefined, tried: readonly EndpointMember[]): EndpointMember | undefined {
    if (key === undefined) {
      const others = this.members.filter((one) => one.state === "open" && !tried.includes(one));
      return lessLoaded(...new Choice(firstPriority(others)).pickTwo());
    }
    const first = this.byKey(key);
    return first?.state === "open" && !tried.includes(first) ? first : undefined;
  }

  /** The first member by rendezvous hashing that has not failed. */
  byKey(key: string): EndpointMember | undefined {
    return this.#owners?.ownerOf(key);
  }

  /** Dials one failing member whose pause is over, without a call. */
  #probe(): void {
    if (this.#well === this.#members.size) return;
    const time = now();
    // Stored until a member's state changes, so that a call does not check all members.
    if (time < this.#probeNotBefore) return;
    this.#probeNotBefore = Number.POSITIVE_INFINITY;
    for (const member of this.#members.values()) {
      if (member.state !== "failing") continue;
      if (member.notBefore <= time) {
        this.#probeNotBefore = Number.NEGATIVE_INFINITY;
        member.connect();
        return;
      }
      this.#probeNotBefore = Math.min(this.#probeNotBefore, member.notBefore);
    }
  }

  #sort(): void {
    const well = this.members.filter((member) => member.isInChoice);
    this.#well = well.length;
    this.#probeNotBefore = Number.NEGATIVE_INFINITY;
    this.#choice = new Choice(firstPriority(well));
    this.#owners = keyOwners(this.#choice.members);
    this.#open = new Choice(firstPriority(well.filter((member) => member.state === "open")));
  }

  // ---- What is found, and what members tell ---------------------------------------------------------------

  readonly #find: FindTargets = (signal, tell): Promise<Found> => {
    if (this.#finder === undefined) {
      this.#finder = new TargetFinder(this.#context);
      if (this.#context.keepConnected) {
        this.#standing = new StandingLookups(() => this.#lookUpAgain());
        this.#standing.keepAlive(this.#keepsAlive);
      }
    }
    return this.#finder.find(signal, tell);
  };

  /** @throws SealwireError ERR_INVALID_ARGUMENT if the keys of one target fit no handshake; then nothing has changed */
  onTargets(targets: readonly Target[], isAll: boolean): void {
    const keys = new Set(targets.map(({ key }) => key));
    const unknown = targets.filter(({ key }) => !this.#members.has(key));
    // A lookup that never ends must not add members without a limit.
    const room = MOST_ENDPOINTS - (isAll ? 0 : this.#members.size);
    const added = this.#withContexts(unknown.slice(0, room));
    for (const target of targets) {
      const member = this.#members.get(target.key);
      if (member !== undefined) member.target = target;
    }
    const joined = added.map(([target, context]) => this.#add(target, context));
    if (isAll) for (const [key, member] of [...this.#members]) if (!keys.has(key)) this.#leave(key, member);
    this.#sort();
    for (const member of joined) this.#news.joined(member);
    if (joined.length > 0) this.#events.onJoined();
  }

  onLookupFailed(): void {
    this.#standing?.needed();
  }

  #lookUpAgain(): void {
    // Newly found members are used first. If they fail, too, this is called again.
    if (!this.resolver.isStale) return;
    this.resolver.refreshIfStale();
    if (this.resolver.underWay === undefined) this.#standing?.needed();
  }

  /** Makes all contexts or none: if one can't be made, the keys of the others are wiped. */
  #withContexts(targets: readonly Target[]): [Target, EndpointContext][] {
    const made: [Target, EndpointContext][] = [];
    try {
      for (const target of targets) made.push([target, this.#context.contextOf(target.endpoint)]);
      return made;
    } catch (error) {
      for (const [, { wipeKeys }] of made) wipeKeys();
      throw error;
    }
  }

  #add(target: Target, keys: EndpointContext): EndpointMember {
    const { endpoint, address } = target;
    const context = { ...this.#context, ...keys, address, dialledAddress: endpoint.name };
    const member = new EndpointMember(target, context, this, this.#news);
    if (!this.#keepsAlive) member.client.unref();
    this.#members.set(target.key, member);
    return member;
  }

  /** The member is no endpoint any more: its calls finish, as with `close`. */
  #leave(key: string, member: EndpointMember): void {
    this.#members.delete(key);
    const left = this.#closeMember(member, "unlisted").then(() => {
      this.#gone = sumTotals([this.#gone, member.client.stats]);
      this.#leaving.delete(member);
    });
    this.#leaving.set(member, left);
  }

  async #closeMember(member: EndpointMember, reason: LeavingReason): Promise<void> {
    await member.close();
    this.#news.left(member, reason);
  }

  /** Members that have not failed come first; the others follow by the time of their next probe. */
  order(tried: ReadonlySet<EndpointMember>): EndpointMember[] {
    const untried = [...this.#members.values()].filter((member) => !tried.has(member));
    const [well, failing] = [untried.filter((m) => m.isInChoice), untried.filter((m) => !m.isInChoice)];
    const targets = attemptOrder(well.map(({ target }) => target));
    const ordered = targets.map(({ key }) => this.#members.get(key)!);
    return [...ordered, ...failing.sort((a, b) => a.notBefore - b.notBefore)];
  }

  /** Dials the members in turn. */
  race(order: readonly EndpointMember[]): EndpointRace {
    return new EndpointRace(order);
  }

  onOpen(): void {
    this.#standing?.opened();
    this.#sort();
    this.#events.onOpen();
  }

  onChange(): void {
    this.#sort();
  }

  onFailure(): void {
    this.resolver.invalidate();
    this.#standing?.needed();
  }
}

function keepAlive(client: RpcClient, on: boolean): void {
  if (on) client.ref();
  else client.unref();
}
