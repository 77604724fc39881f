// Resolves each endpoint to its addresses: those of its name, or of the hosts that its SRV records name (RFC 2782).
//
//   endpoints ──SRV records──▶ hosts: name, port, priority, weight ──names──▶ targets: addresses
//
// When a part of a lookup fails, that part keeps the addresses that it had; the other parts are renewed. The cost of an
// answer is bounded, whatever it holds.

import { encodeKey } from "../protocol/noise/keys.ts";
import { addressGroups } from "./addressRange.ts";
import { withinTime } from "./boundedWork.ts";
import {
  type CheckedEndpoint,
  type EndpointSource,
  MOST_ENDPOINTS,
  MOST_NAME_CHARACTERS,
} from "./endpointOptions.ts";
import type { Address, ServiceRecord } from "./transport.ts";

/** Names that are looked up at once: a resolver takes them as a burst. */
const MOST_LOOKUPS = 16;
/** Of what the names of one lookup resolve to, so much is looked at: answers without end must not keep the event loop. */
const MOST_LISTED = 16 * MOST_ENDPOINTS;
/** For one name: one that hangs holds up the others for less than a lookup may take. */
const PART_TIMEOUT_MS = 5_000;
/** An IPv6 address with a zone. */
const MOST_ADDRESS_CHARACTERS = 80;

/** One address of one endpoint. */
export interface Target {
  /** Tells targets apart. */
  readonly key: string;
  readonly address: Address;
  readonly endpoint: CheckedEndpoint;
  /** 6 or 4; 0 for a Unix socket. */
  readonly family: 0 | 4 | 6;
  /** Those with the lowest number get the calls as long as one of them works. 0 where no SRV record says it. */
  readonly priority: number;
  /** Its share of the calls, above 0. 1 where no SRV record says it. */
  readonly weight: number;
}

/** RFC 2782: a weight of 0 is for servers that are to be chosen hardly ever where others have more. */
const LEAST_WEIGHT = 0.01;

interface ServiceHost extends Pick<Target, "address" | "endpoint" | "priority" | "weight"> {}

/** What a lookup found. */
export interface Found {
  readonly targets: readonly Target[];
  /** Why a part of it was not found; undefined: everything was. */
  readonly error: unknown;
}

export class TargetFinder {
  readonly #source: EndpointSource;
  /** The records of the SRV names and the addresses of the names that were found last. */
  #records: ReadonlyMap<string, readonly ServiceRecord[]> = new Map();
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(source: EndpointSource) {
    this.#source = source;
  }

  /** Rejects when the endpoints themselves are not found, with what the application's function threw. */
  async find(signal: AbortSignal): Promise<Found> {
    const endpoints = await this.#source.find(signal);
    const lookup = new Lookup(this.#source, signal, this.#records, this.#addresses);
    const targets = await lookup.targetsOf(endpoints);
    // Whoever comes too late does not replace what a later lookup found.
    if (!signal.aborted) {
      this.#records = lookup.records;
      this.#addresses = lookup.addresses;
    }
    return { targets, error: lookup.error };
  }
}

class Lookup {
  readonly #source: EndpointSource;
  readonly #signal: AbortSignal;
  readonly #oldRecords: ReadonlyMap<string, readonly ServiceRecord[]>;
  readonly #oldAddresses: ReadonlyMap<string, readonly string[]>;
  readonly records = new Map<string, readonly ServiceRecord[]>();
  readonly addresses = new Map<string, readonly string[]>();
  readonly #underWay = new Map<string, Promise<readonly string[]>>();
  /** Of MOST_LISTED records and addresses. */
  readonly #left = { resolve: MOST_LISTED, resolveSrv: MOST_LISTED };
  error: unknown;

  constructor(
    source: EndpointSource,
    signal: AbortSignal,
    oldRecords: ReadonlyMap<string, readonly ServiceRecord[]>,
    oldAddresses: ReadonlyMap<string, readonly string[]>,
  ) {
    this.#source = source;
    this.#signal = signal;
    this.#oldRecords = oldRecords;
    this.#oldAddresses = oldAddresses;
  }

  /** At most MOST_ENDPOINTS, no two of them alike. */
  async targetsOf(endpoints: readonly CheckedEndpoint[]): Promise<Target[]> {
    const hosts = (await this.#each(endpoints, (endpoint) => this.#hostsOf(endpoint))).flat();
    // The first ones in front, where there are too many.
    hosts.sort((a, b) => a.priority - b.priority);
    let left = MOST_ENDPOINTS;
    const lists = await this.#each(hosts, async (host) => {
      const targets = left > 0 ? await this.#targetsOf(host) : [];
      left -= targets.length;
      return targets;
    });
    const found = new Map<string, Target>();
    for (const target of lists.flat())
      if (found.size < MOST_ENDPOINTS && !found.has(target.key)) found.set(target.key, target);
    return [...found.values()];
  }

  /** What `work` gives for each of the list, MOST_LOOKUPS at once. */
  async #each<Item, Result>(
    list: readonly Item[],
    work: (item: Item) => Promise<Result[]>,
  ): Promise<Result[][]> {
    const results: Result[][] = [];
    const queue = list.entries();
    const worker = async (): Promise<void> => {
      for (const [i, item] of queue) {
        if (this.#signal.aborted) return;
        results[i] = await work(item);
      }
    };
    await Promise.all(Array.from({ length: Math.min(MOST_LOOKUPS, list.length) }, worker));
    return results;
  }

  async #hostsOf(endpoint: CheckedEndpoint): Promise<ServiceHost[]> {
    const { address, name } = endpoint;
    if (address !== undefined) return [{ endpoint, address, priority: 0, weight: 1 }];
    const records = await this.#known(this.records, this.#oldRecords, name, () => this.#recordsOf(name));
    return records.map(({ name: host, port, priority, weight }) => ({
      endpoint,
      address: { host, port },
      priority,
      weight: Math.max(weight, LEAST_WEIGHT),
    }));
  }

  async #recordsOf(name: string): Promise<readonly ServiceRecord[]> {
    const listed = this.#listed(await this.#source.resolveSrv(name, this.#signal), "resolveSrv");
    const records = listed.flatMap((record) => checkedRecord(record) ?? []);
    // A record that names "." says just that.
    if (records.length === 0) throw new Error(`${name} is not offered: no SRV record names a host`);
    return records.sort((a, b) => a.priority - b.priority).slice(0, MOST_ENDPOINTS);
  }

  async #targetsOf({ endpoint, address, priority, weight }: ServiceHost): Promise<Target[]> {
    const keys = keysText(endpoint);
    if (address.path !== undefined)
      return [{ key: address.path + keys, address, endpoint, family: 0, priority, weight }];
    const { host, port } = address;
    const isAddress = addressGroups(host) !== undefined;
    const found = isAddress ? [host] : await this.#addressesOf(host);
    return found.map((text) => ({
      // The name and the keys belong to it: two names may have other keys behind one address, and keys change.
      key: `${text} ${port} ${endpoint.name}${keys}`,
      address: { host: text, port },
      endpoint,
      family: text.includes(":") ? 6 : 4,
      priority,
      weight,
    }));
  }

  /** Looks a name up once, however many hosts have it. */
  #addressesOf(host: string): Promise<readonly string[]> {
    let found = this.#underWay.get(host);
    if (found === undefined) {
      found = this.#known(this.addresses, this.#oldAddresses, host, async () => {
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

  /** What `find` gives for a name, or what was known of it where that fails. */
  async #known<Part>(
    known: Map<string, readonly Part[]>,
    old: ReadonlyMap<string, readonly Part[]>,
    name: string,
    find: () => Promise<readonly Part[]>,
  ): Promise<readonly Part[]> {
    let parts: readonly Part[];
    try {
      const late = () => new Error(`${name} was not found within ${PART_TIMEOUT_MS} ms`);
      parts = await withinTime(find(), this.#signal, PART_TIMEOUT_MS, late);
    } catch (error) {
      this.error ??= error ?? new Error(`${name} was not found`);
      parts = old.get(name) ?? [];
    }
    if (parts.length > 0) known.set(name, parts);
    return parts;
  }

  /** As many of a list as may still be looked at. */
  #listed(list: unknown, from: "resolve" | "resolveSrv"): readonly unknown[] {
    if (!Array.isArray(list)) throw new TypeError(`${from}() gave no list`);
    const listed = list.slice(0, this.#left[from]);
    this.#left[from] -= listed.length;
    return listed;
  }
}

/** A copy of a record that names a host; undefined otherwise. */
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
  return (
    typeof text === "string" && text.length <= MOST_ADDRESS_CHARACTERS && addressGroups(text) !== undefined
  );
}

function keysText({ remoteStatic = [] }: CheckedEndpoint): string {
  return remoteStatic.map((key) => ` ${encodeKey(key)}`).join("");
}
