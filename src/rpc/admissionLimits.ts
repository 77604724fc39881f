// The limits of a server's sockets, handshakes and connections, in all and from one address.

import { type ConnectionLimits, defaultLimits, integerOption, MAX_MS } from "../base/options.ts";

/** Limits of whom a server lets in, and how many. */
export interface AdmissionOptions {
  /** Connections at most; more wait for a place, the addresses in turn. Default 1,024. */
  maxConnections?: number;
  /**
   * The same for one address (an IPv4 address, or an IPv6 network of 64 bits). Not for Unix sockets. Default: all but
   * a 64th of `maxConnections`, so that one address can be a proxy and still can't lock the others out.
   */
  maxConnectionsPerAddress?: number;
  /** How long a socket that has sent its first message waits for a place before it is closed. Default 2,000. */
  maxConnectionWaitMs?: number;
  /** Handshakes at most that run, `authorize` included; more wait for a place. Default 1,024. */
  maxHandshakes?: number;
  /** The same for one address. Not for Unix sockets. Default: half of `maxHandshakes`. */
  maxHandshakesPerAddress?: number;
  /**
   * Sockets at most that have sent no complete first message or wait for a place; one address may have half of them.
   * Above it the oldest of those that have sent none is closed. Default 4,096.
   */
  maxWaitingSockets?: number;
}

export const admissionOptionNames: readonly (keyof AdmissionOptions)[] = [
  "maxConnections",
  "maxConnectionsPerAddress",
  "maxConnectionWaitMs",
  "maxHandshakes",
  "maxHandshakesPerAddress",
  "maxWaitingSockets",
];

export interface AdmissionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly maxWaitingSockets: number;
  readonly maxWaitingSocketsPerAddress: number;
  readonly maxConnectionWaitMs: number;
  /** How long a socket may stay silent; 0: as long as it likes. */
  readonly handshakeTimeoutMs: number;
}

const MAX_SOCKETS = 1_048_576;

/**
 * Defaults filled in, every value checked; limits per address that are not given follow from the others.
 *
 * @param perAddress false where peers have no addresses
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
 */
export function resolveAdmission(
  options: AdmissionOptions & ConnectionLimits,
  perAddress: boolean,
): AdmissionLimits {
  const { maxConnectionWaitMs = 2_000, handshakeTimeoutMs = defaultLimits.handshakeTimeoutMs } = options;
  const limit = (name: keyof AdmissionOptions, whenLeftOut: number): number => {
    const { [name]: value = whenLeftOut } = options;
    return integerOption(name, value, 1, MAX_SOCKETS);
  };
  const maxConnections = limit("maxConnections", 1_024);
  const maxHandshakes = limit("maxHandshakes", 1_024);
  const maxWaitingSockets = limit("maxWaitingSockets", 4_096);
  const limits = {
    maxConnections,
    maxConnectionsPerAddress: limit("maxConnectionsPerAddress", maxConnections - (maxConnections >>> 6)),
    maxHandshakes,
    maxHandshakesPerAddress: limit("maxHandshakesPerAddress", Math.ceil(maxHandshakes / 2)),
    maxWaitingSockets,
    maxWaitingSocketsPerAddress: Math.ceil(maxWaitingSockets / 2),
    maxConnectionWaitMs: integerOption("maxConnectionWaitMs", maxConnectionWaitMs, 0, MAX_MS),
    handshakeTimeoutMs,
  };
  if (perAddress) return limits;
  const none = Number.POSITIVE_INFINITY;
  return {
    ...limits,
    maxConnectionsPerAddress: none,
    maxHandshakesPerAddress: none,
    maxWaitingSocketsPerAddress: none,
  };
}
