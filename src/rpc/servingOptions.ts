// Options of servers in addition to their limits: the address to listen on, trusted proxies, and reports about their
// health.

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames, functionOption, integerOption, MAX_MS } from "../base/options.ts";
import { resolveAddress, type Where } from "./addressOption.ts";
import { AddressRanges } from "./addressRange.ts";
import type { HealthListener } from "./health.ts";
import { type AllowStat, resolveStat } from "./statMethod.ts";
import type { Address, ListenAddress } from "./transport.ts";

/** The proxies whose PROXY headers a server believes. */
export interface ProxyProtocolOptions {
  /**
   * The trusted proxies: IP addresses, ranges like "10.0.0.0/8", and "unix" for peers on a Unix socket. Sockets from
   * these must begin with a header (PROXY protocol version 1 or 2). All other sockets begin with the handshake.
   */
  trusted: readonly string[];
}

/** Options of `listen` for servers behind balancers, in several processes, or under a supervisor. */
export interface ServingOptions {
  /**
   * Several processes listen on one port, and the system distributes connections. ERR_UNSUPPORTED if the system can't.
   */
  reusePort?: boolean;
  /** A listening socket that the process inherited (systemd: 3 and up), in place of `host`, `port` and `path`. */
  fd?: number;
  /** A proxy in front reports the addresses of the clients; limits, `authorize` and `remoteAddress` use them. */
  proxyProtocol?: ProxyProtocolOptions;
  /**
   * A connection that has been open for this time, a tenth more or less by chance, is closed in good order. Its client
   * then dials again and finds new servers, and the new session gets fresh secrets. At least 1,000. Default: no limit.
   * Not with protocol v1, which can't announce a close.
   */
  maxConnectionAgeMs?: number;
  /** The address of a small HTTP server for health probes: a port or Unix socket of its own. Default: none. */
  health?: { readonly host?: string; readonly port: number } | { readonly path: string };
  /**
   * Called with "ready", "draining" and "stopped", once each. An error that it throws or rejects with goes to
   * `console.error`.
   */
  onHealth?: HealthListener;
  /**
   * Who may read this server's counters with `sealwire stat`: a function, or `true` for every authenticated peer. A
   * server without `psk`, `remoteStatic` and `authorize` takes any key, so `true` is nobody there. Other peers get
   * ERR_UNAUTHORIZED. Not with protocol v1. Default false: nobody may, and such calls go
   * to the application.
   */
  stat?: boolean | AllowStat;
}

const SHORTEST_AGE_MS = 1_000;
const MOST_DESCRIPTORS = 1_048_576;

/** The address that a server listens on. */
export function resolveListenAddress(options: ServingOptions & Where): ListenAddress {
  const { fd, reusePort = false, host, port, path } = options;
  if (typeof reusePort !== "boolean") throw invalidArgument("reusePort", "a boolean");
  if (fd === undefined) {
    if (reusePort && path !== undefined) throw invalidArgument("reusePort", "given with a port");
    return { ...resolveAddress(options, 0), reusePort };
  }
  if (host !== undefined || port !== undefined || path !== undefined || reusePort)
    throw invalidArgument("fd", "given without host, port, path and reusePort");
  return { fd: integerOption("fd", fd, 0, MOST_DESCRIPTORS) };
}

/** The options of a server's life, checked. */
export interface Serving {
  /** The trusted proxies. */
  readonly proxies: AddressRanges | undefined;
  /** 0: no limit. */
  readonly maxConnectionAgeMs: number;
  readonly healthAddress: Address | undefined;
  readonly onHealth: HealthListener | undefined;
  readonly allowsStat: AllowStat | undefined;
}

/**
 * @param canDrain whether the protocol can announce the end of a connection
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function resolveServing(options: ServingOptions, canDrain: boolean): Serving {
  const { proxyProtocol, maxConnectionAgeMs, health } = options;
  let proxies: AddressRanges | undefined;
  if (proxyProtocol !== undefined) {
    if (typeof proxyProtocol !== "object" || proxyProtocol === null)
      throw invalidArgument("proxyProtocol", "an object with `trusted`");
    checkOptionNames(proxyProtocol, ["trusted"]);
    proxies = new AddressRanges("proxyProtocol.trusted", proxyProtocol.trusted);
  }
  if (maxConnectionAgeMs !== undefined) {
    integerOption("maxConnectionAgeMs", maxConnectionAgeMs, SHORTEST_AGE_MS, MAX_MS);
    if (!canDrain) throw invalidArgument("maxConnectionAgeMs", "left out with protocol v1");
  }
  return {
    proxies,
    maxConnectionAgeMs: maxConnectionAgeMs ?? 0,
    healthAddress: health === undefined ? undefined : resolveHealth(health),
    onHealth: functionOption("onHealth", options.onHealth),
    allowsStat: resolveStat(options.stat),
  };
}

function resolveHealth(health: Where): Address {
  if (typeof health !== "object" || health === null)
    throw invalidArgument("health", "an object with a port or path");
  checkOptionNames(health, ["host", "port", "path"]);
  return resolveAddress(health, 0);
}
