// Lists the targets of endpoints, by the answers that their names have: the addresses of a name, or those of the hosts in
// its SRV records (RFC 2782).
//
//   endpoints ──SRV records──▶ hosts: name, port, priority, weight ──names──▶ targets: addresses

import { encodeKey } from "../protocol/noise/keys.ts";
import { addressGroups } from "./addressText.ts";
import { type CheckedEndpoint, MOST_ENDPOINTS } from "./endpointOptions.ts";
import type { Address, ServiceRecord } from "./transport.ts";

/** One address of one endpoint. */
export interface Target {
  /** Identifies the target. */
  readonly key: string;
  readonly address: Address;
  readonly endpoint: CheckedEndpoint;
  /** 6 or 4; 0 for a Unix socket. */
  readonly family: 0 | 4 | 6;
  /** Targets with the lowest number get the calls as long as one of them works. 0 without an SRV record. */
  readonly priority: number;
  /** Its share of the calls, above 0. 1 without an SRV record. */
  readonly weight: number;
}

/** RFC 2782: servers with weight 0 are chosen very rarely if others have a greater weight. */
const LEAST_WEIGHT = 0.01;

/** A host and its ranking, before names are resolved. */
export interface ServiceHost extends Pick<Target, "address" | "endpoint" | "priority" | "weight"> {}

/** The known answers of names: an empty list for a name without any. */
export interface NameAnswers {
  recordsOf(name: string): readonly ServiceRecord[];
  addressesOf(host: string): readonly string[];
}

export function hostsOf(endpoint: CheckedEndpoint, answers: NameAnswers): ServiceHost[] {
  const { address, name } = endpoint;
  if (address !== undefined) return [{ endpoint, address, priority: 0, weight: 1 }];
  return answers.recordsOf(name).map(({ name: host, port, priority, weight }) => ({
    endpoint,
    address: { host, port },
    priority,
    weight: Math.max(weight, LEAST_WEIGHT),
  }));
}

/** At most MOST_ENDPOINTS different targets; if there are more, those of the first priorities. */
export function targetsOf(endpoints: readonly CheckedEndpoint[], answers: NameAnswers): Target[] {
  const hosts = endpoints.flatMap((endpoint) => hostsOf(endpoint, answers));
  hosts.sort((a, b) => a.priority - b.priority);
  const found = new Map<string, Target>();
  for (const host of hosts) {
    for (const target of targetsAt(host, answers)) {
      if (found.size === MOST_ENDPOINTS) return [...found.values()];
      if (!found.has(target.key)) found.set(target.key, target);
    }
  }
  return [...found.values()];
}

function targetsAt({ endpoint, address, priority, weight }: ServiceHost, answers: NameAnswers): Target[] {
  const keys = keysText(endpoint);
  if (address.path !== undefined)
    return [{ key: address.path + keys, address, endpoint, family: 0, priority, weight }];
  const { host, port } = address;
  const found = isIpAddress(host) ? [host] : answers.addressesOf(host);
  return found.map((text) => ({
    // The name and the keys are part of the key: two names may have different keys for one address, and keys change.
    key: `${text} ${port} ${endpoint.name}${keys}`,
    address: { host: text, port },
    endpoint,
    family: text.includes(":") ? 6 : 4,
    priority,
    weight,
  }));
}

export function isIpAddress(host: string): boolean {
  return addressGroups(host) !== undefined;
}

function keysText({ remoteStatic = [] }: CheckedEndpoint): string {
  return remoteStatic.map((key) => ` ${encodeKey(key)}`).join("");
}
