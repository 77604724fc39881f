// Options of clients that have several servers to choose from.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames, functionOption } from "../base/options.ts";
import { decodeKey, type KeyInput } from "../protocol/noise/keys.ts";
import { resolveAddress } from "./addressOption.ts";
import { addressGroups } from "./addressText.ts";
import type { Address, ServiceRecord } from "./transport.ts";

/** A server, or a name that stands for several servers: each of its addresses is an endpoint. */
export interface Endpoint {
  /** A name or an IP address. Default "127.0.0.1". */
  host?: string;
  /** 1 to 65,535. */
  port?: number;
  /** A Unix socket instead of `host` and `port`. */
  path?: string;
  /**
   * A name of SRV records (RFC 2782) instead, such as "_sealwire._tcp.example.net". The records give hosts, ports,
   * priorities and weights. `authorize` and known peers go by this name.
   */
  srv?: string;
  /** The static public key of this server, or several keys that are accepted; replaces the client's `remoteStatic`. */
  remoteStatic?: KeyInput | readonly KeyInput[];
}

/** Finds endpoints. `signal` aborts when the client is closed or does not wait any more. */
export type FindEndpoints = (signal: AbortSignal) => readonly Endpoint[] | Promise<readonly Endpoint[]>;

/** Resolves a name to all its addresses (IPv4 and IPv6, in text form), in the order in which they should be tried. */
export type ResolveName = (
  host: string,
  signal: AbortSignal,
) => readonly string[] | Promise<readonly string[]>;

/** Looks up the SRV records of a name, in any order. */
export type ResolveService = (
  name: string,
  signal: AbortSignal,
) => readonly ServiceRecord[] | Promise<readonly ServiceRecord[]>;

/** Options of `connect` for several servers. */
export interface EndpointsOptions {
  /**
   * Equivalent servers, in place of `host`, `port` and `path`: a list, or a function that finds them. A name stands for
   * all its addresses. A call triggers a new lookup 30 s after the last answer, or after a failure.
   */
  endpoints?: readonly Endpoint[] | FindEndpoints;
  /** Resolves the names of `endpoints`. Default: the system's resolver. */
  resolve?: ResolveName;
  /** Looks up the SRV records of `endpoints`; their hosts go to `resolve`. Default: the system's DNS servers. */
  resolveSrv?: ResolveService;
}

export const endpointsOptionNames: readonly (keyof EndpointsOptions)[] = [
  "endpoints",
  "resolve",
  "resolveSrv",
];

/** The most endpoints in a list, and the most addresses in all. */
export const MOST_ENDPOINTS = 1_024;
/** Names in DNS are shorter (RFC 1035 section 2.3.4). */
export const MOST_NAME_CHARACTERS = 255;

/** An endpoint, checked. */
export interface CheckedEndpoint {
  /** Undefined: SRV records of `name` give the addresses. */
  readonly address: Address | undefined;
  /** "host:port", the path or the name of SRV records, as the application gave it. `authorize` goes by this name. */
  readonly name: string;
  /** Copies. */
  readonly remoteStatic: readonly Uint8Array[] | undefined;
}

/**
 * Checks a list of endpoints.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the endpoint and option.
 */
export function checkEndpoints(endpoints: unknown): CheckedEndpoint[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0 || endpoints.length > MOST_ENDPOINTS) {
    throw invalidArgument("endpoints", `a list of 1 to ${MOST_ENDPOINTS}, or a function that gives one`);
  }
  return endpoints.map((endpoint, i) => {
    try {
      return checkEndpoint(endpoint);
    } catch (error) {
      throw invalidArgument(`endpoints[${i}]`, `valid: ${(error as Error).message}`);
    }
  });
}

function checkEndpoint(endpoint: Endpoint): CheckedEndpoint {
  checkOptionNames(endpoint, ["host", "port", "path", "srv", "remoteStatic"]);
  if ("remoteStatic" in endpoint && endpoint.remoteStatic === undefined)
    throw invalidArgument("remoteStatic", "left out rather than undefined where none is meant");
  const { srv, remoteStatic } = endpoint;
  const address = srv === undefined ? resolveAddress(endpoint, 1) : undefined;
  const name =
    address === undefined ? serviceName(endpoint) : (address.path ?? `${address.host}:${address.port}`);
  if (remoteStatic === undefined) return { address, name, remoteStatic };
  const keys = Array.isArray(remoteStatic) ? remoteStatic : [remoteStatic];
  if (keys.length === 0) throw invalidArgument("remoteStatic", "a key or a list of at least one");
  return { address, name, remoteStatic: keys.map((key) => decodeKey("remoteStatic", key)) };
}

function serviceName({ srv, host, port, path }: Endpoint): string {
  if (typeof srv !== "string" || srv === "" || srv.length > MOST_NAME_CHARACTERS)
    throw invalidArgument("srv", `a name of 1 to ${MOST_NAME_CHARACTERS} characters`);
  if (host !== undefined || port !== undefined || path !== undefined)
    throw invalidArgument("srv", "given without host, port and path");
  return srv;
}

/** The functions that find a client's endpoints and resolve their names. */
export interface EndpointSource {
  readonly find: FindChecked;
  readonly resolve: ResolveName;
  readonly resolveSrv: ResolveService;
  /** The endpoints of a list, which are known at once. */
  readonly listed: readonly CheckedEndpoint[];
  /** A later lookup may give other endpoints: `endpoints` is a function, or contains names. */
  readonly canChange: boolean;
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option */
export function resolveEndpointsOptions(
  options: EndpointsOptions & { host?: unknown; port?: unknown; path?: unknown },
  defaults: Required<Pick<EndpointsOptions, "resolve" | "resolveSrv">>,
): EndpointSource {
  for (const name of ["host", "port", "path"] as const) {
    if (options[name] !== undefined) throw invalidArgument(name, "left out with the option endpoints");
  }
  const resolve = functionOption("resolve", options.resolve) ?? defaults.resolve;
  const resolveSrv = functionOption("resolveSrv", options.resolveSrv) ?? defaults.resolveSrv;
  const { endpoints } = options;
  if (typeof endpoints === "function") {
    return {
      find: async (signal) => checkEndpoints(await endpoints(signal)),
      resolve,
      resolveSrv,
      listed: [],
      canChange: true,
    };
  }
  const listed = checkEndpoints(endpoints);
  const canChange = listed.some(
    ({ address }) =>
      address === undefined || (address.host !== undefined && addressGroups(address.host) === undefined),
  );
  return { find: () => Promise.resolve(listed), resolve, resolveSrv, listed, canChange };
}

export type FindChecked = (signal: AbortSignal) => Promise<readonly CheckedEndpoint[]>;
