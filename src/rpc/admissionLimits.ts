// The limits of a server's sockets, handshakes and connections, in all and from one address.

import { type ConnectionLimits, defaultLimits, integerOption, MAX_MS } from "../base/options.ts";

/** Limits of the sockets, handshakes and connections that a server admits. */
export interface AdmissionOptions {
  /** The most connections. Further sockets wait for a place, and the addresses take turns. Default 1,024. */
  maxConnections?: number;
  /**
   * The same for one address (an IPv4 address, or an IPv6 network of 64 bits). Not for Unix sockets. Default: all but a
   * 64th of `maxConnections`, so that one address can be a proxy and still can't lock the others out.
   */
  maxConnectionsPerAddress?: number;
  /** How long a socket that has sent its first message waits for a place before it is closed. Default 2,000. */
  maxConnectionWaitMs?: number;
  /** The most running handshakes, `authorize` included. Further sockets wait for a place. Default 1,024. */
  maxHandshakes?: number;
  /** The same for one address. Not for Unix sockets. Default: half of `maxHandshakes`. */
  maxHandshakesPerAddress?: number;
  /**
   * The most sockets that wait for a place or have sent no complete first message; one address may have half of them.
   * Above the limit the oldest socket without a complete first message is closed. Default 4,096.
   */
  maxWaitingSockets?: number;
}

export interface AdmissionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly maxWaitingSockets: number;
  readonly maxWaitingSocketsPerAddress: number;
  readonly maxConnectionWaitMs: number;
  /** How long a socket may stay silent; 0: without a limit. */
  readonly handshakeTimeoutMs: number;
}

const MAX_SOCKETS = 1_048_576;

/** How many of these places one peer may have unless an option says so: a 64th stays for others. */
export function mostOfOne(places: number): number {
  return places - (places >>> 6);
}

/**
 * Fills in defaults and checks every value. Limits per address that are not given follow from the others.
 *
 * @param perAddress false if peers have no addresses
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
    maxConnectionsPerAddress: limit("maxConnectionsPerAddress", mostOfOne(maxConnections)),
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
