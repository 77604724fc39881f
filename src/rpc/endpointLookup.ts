// Resolves the names of endpoints: to addresses, or to SRV records (RFC 2782) whose hosts have addresses.
//
// A name that is slow or fails delays no other name: a lookup reports the addresses that it has found while other names
// are missing. A name without an answer keeps its old addresses. The cost of answers is bounded, whatever they hold.

import { withinTime } from "./boundedWork.ts";
import { CallbackDeadline } from "./deadline.ts";
import {
  type CheckedEndpoint,
  type EndpointSource,
  MOST_ENDPOINTS,
  MOST_NAME_CHARACTERS,
} from "./endpointOptions.ts";
import {
  hostsOf,
  isIpAddress,
  type NameAnswers,
  type ServiceHost,
  type Target,
  targetsOf,
} from "./endpointTargets.ts";
import { timers } from "./timers.ts";
import type { ServiceRecord } from "./transport.ts";

/** The number of lookups that begin at once, as one burst for the resolver. */
const MOST_LOOKUPS = 16;
/** After this time a slow lookup lets the next one begin, so that hanging names do not block others. */
const SLOW_LOOKUP_MS = 100;
/** After this time the found targets are reported although names are missing, and again when more are found. */
const TELL_MS = 250;
/** The most results of one lookup's names that are read, so that endless answers do not block the event loop. */
const MOST_LISTED = 16 * MOST_ENDPOINTS;
/** The time limit for one name. */
const NAME_TIMEOUT_MS = 5_000;
/** The length of an IPv6 address with a zone. */
const MOST_ADDRESS_CHARACTERS = 80;

type Records = ReadonlyMap<string, readonly ServiceRecord[]>;
type Addresses = ReadonlyMap<string, readonly string[]>;

/** The result of a lookup. */
export interface Found {
  readonly targets: readonly Target[];
  /** Why a part was not found; undefined if all was found. */
  readonly error: unknown;
}

export class TargetFinder {
  readonly #source: EndpointSource;
  /** The last SRV records and addresses of each name. */
  #records: Records = new Map();
  #addresses: Addresses = new Map();

  constructor(source: EndpointSource) {
    this.#source = source;
  }

  /**
   * Rejects if the endpoints themselves are not found, with the error of the application's function. `tell` gets the
   * known targets while names are missing, and never an empty list.
   */
  async find(signal: AbortSignal, tell: (targets: readonly Target[]) => void): Promise<Found> {
    const endpoints = await this.#source.find(signal);
    // A late answer does not replace the results of a later lookup.
    signal.throwIfAborted();
    const lookup = new Lookup(this.#source, signal, this.#records, this.#addresses);
    const told = new CallbackDeadline(() => {
      timers.arm(told, TELL_MS);
      if (!lookup.hasNews || signal.aborted) return;
      lookup.hasNews = false;
      const targets = targetsOf(endpoints, lookup);
      try {
        if (targets.length > 0) tell(targets);
      } catch {
        // The keys of a target fit no handshake; the lookup fails with that error when it is over.
      }
    });
    timers.arm(told, TELL_MS);
    try {
      await lookup.run(endpoints);
    } finally {
      timers.cancel(told);
    }
    this.#records = lookup.records;
    this.#addresses = lookup.addresses;
    return { targets: targetsOf(endpoints, lookup), error: lookup.error };
  }
}

class Lookup implements NameAnswers {
  readonly #source: EndpointSource;
  readonly #signal: AbortSignal;
  readonly #oldRecords: Records;
  readonly #oldAddresses: Addresses;
  readonly records = new Map<string, readonly ServiceRecord[]>();
  readonly addresses = new Map<string, readonly string[]>();
  readonly #underWay = new Map<string, Promise<number>>();
  /** How many of MOST_LISTED records and addresses may still be read. */
  readonly #left = { resolve: MOST_LISTED, resolveSrv: MOST_LISTED };
  #targetsLeft = MOST_ENDPOINTS;
  /** Targets were found since this was set to false. */
  hasNews = false;
  error: unknown;

  constructor(source: EndpointSource, signal: AbortSignal, oldRecords: Records, oldAddresses: Addresses) {
    this.#source = source;
    this.#signal = signal;
    this.#oldRecords = oldRecords;
    this.#oldAddresses = oldAddresses;
  }

  recordsOf(name: string): readonly ServiceRecord[] {
    return this.records.get(name) ?? this.#oldRecords.get(name) ?? [];
  }

  addressesOf(host: string): readonly string[] {
    return this.addresses.get(host) ?? this.#oldAddresses.get(host) ?? [];
  }

  /** Settles without an error when every name has its answer or has failed. */
  async run(endpoints: readonly CheckedEndpoint[]): Promise<void> {
    const late: Promise<void>[] = [];
    const hosts: ServiceHost[] = [];
    let isLate = false;
    const services = await this.#begin(endpoints, async (endpoint) => {
      if (endpoint.address === undefined) await this.#findRecords(endpoint.name);
      const found = hostsOf(endpoint, this);
      if (isLate) late.push(this.#resolveAll(found));
      else hosts.push(...found);
    });
    isLate = true;
    await this.#resolveAll(hosts);
    await Promise.all(services);
    await Promise.all(late);
  }

  /** If there are too many hosts, the first priorities come first. */
  async #resolveAll(hosts: ServiceHost[]): Promise<void> {
    hosts.sort((a, b) => a.priority - b.priority);
    await Promise.all(
      await this.#begin(hosts, async ({ address: { host } }) => {
        if (this.#targetsLeft <= 0) return;
        this.#targetsLeft -= host === undefined || isIpAddress(host) ? 1 : await this.#findAddresses(host);
      }),
    );
  }

  /** Begins `work` for each item of the list, a burst at a time. Resolves when the last one is over, or slow. */
  async #begin<Item>(list: readonly Item[], work: (item: Item) => Promise<void>): Promise<Promise<void>[]> {
    const begun: Promise<void>[] = [];
    const queue = list.values();
    const next = async (): Promise<void> => {
      for (const item of queue) {
        const done = work(item);
        begun.push(done);
        await overOrSlow(done);
      }
    };
    await Promise.all(Array.from({ length: Math.min(MOST_LOOKUPS, list.length) }, next));
    return begun;
  }

  async #findRecords(name: string): Promise<void> {
    await this.#find(this.records, this.#oldRecords, name, async () => {
      const listed = this.#listed(await this.#source.resolveSrv(name, this.#signal), "resolveSrv");
      const records = listed.flatMap((record) => checkedRecord(record) ?? []);
      // A record that names "." means that the service does not exist.
      if (records.length === 0) throw new Error(`${name} is not offered: no SRV record names a host`);
      return records.sort((a, b) => a.priority - b.priority).slice(0, MOST_ENDPOINTS);
    });
  }

  /** The number of addresses of a name. A name is looked up once, however many hosts have it. */
  #findAddresses(host: string): Promise<number> {
    let found = this.#underWay.get(host);
    if (found === undefined) {
      found = this.#find(this.addresses, this.#oldAddresses, host, async () => {
        const valid = new Set<string>();
        for (const text of this.#listed(await this.#source.resolve(host, this.#signal), "resolve"))
          if (isAddressText(text)) valid.add(text);
        if (valid.size === 0) throw new Error(`${host} has no address`);
        return [...valid].slice(0, MOST_ENDPOINTS);
      });
      this.#underWay.set(host, found);
    }
    return found;
  }

  /** Stores the result of `find` for a name, or keeps the old one if that fails. Returns the number of results. */
  async #find<Answer>(
    known: Map<string, readonly Answer[]>,
    old: ReadonlyMap<string, readonly Answer[]>,
    name: string,
    find: () => Promise<readonly Answer[]>,
  ): Promise<number> {
    let answers: readonly Answer[];
    try {
      this.#signal.throwIfAborted();
      const late = () => new Error(`${name} was not found within ${NAME_TIMEOUT_MS} ms`);
      answers = await withinTime(find(), this.#signal, NAME_TIMEOUT_MS, late);
      this.hasNews = true;
    } catch (error) {
      this.error ??= error ?? new Error(`${name} was not found`);
      answers = old.get(name) ?? [];
    }
    if (answers.length > 0) known.set(name, answers);
    return answers.length;
  }

  /** The part of a list that may still be read. */
  #listed(list: unknown, from: "resolve" | "resolveSrv"): readonly unknown[] {
    if (!Array.isArray(list)) throw new TypeError(`${from}() gave no list`);
    const listed = list.slice(0, this.#left[from]);
    this.#left[from] -= listed.length;
    return listed;
  }
}

/** Resolves when `done`, which never rejects, is over, or slow. */
function overOrSlow(done: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const slow = new CallbackDeadline(resolve);
    timers.arm(slow, SLOW_LOOKUP_MS);
    done.then(() => {
      timers.cancel(slow);
      resolve();
    });
  });
}

/** A copy of the record, if it names a host; otherwise undefined. */
function checkedRecord(record: unknown): ServiceRecord | undefined {
  if (typeof record !== "object" || record === null) return undefined;
  const { name, port, priority, weight } = record as Record<keyof ServiceRecord, unknown>;
  if (typeof name !== "string" || name.length > MOST_NAME_CHARACTERS) return undefined;
  const host = name.endsWith(".") ? name.slice(0, -1) : name;
  if (host === "" || !isUint16(port) || port === 0 || !isUint16(priority) || !isUint16(weight))
    return undefined;
  return { name: host, port, priority, weight };
}

function isUint16(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}

function isAddressText(text: unknown): text is string {
  return typeof text === "string" && text.length <= MOST_ADDRESS_CHARACTERS && isIpAddress(text);
}
