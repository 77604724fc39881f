// Who may ask a server for its counters with the method `sealwire.stat`, and what is answered (statAnswering.ts). Off
// unless the option `stat` is given.

import { invalidArgument } from "../base/errors.ts";
import type { Health } from "./health.ts";
import type { Connection } from "./peer.ts";
import type { ServerStats } from "./serverInterface.ts";

export const STAT_METHOD = "sealwire.stat";

/** Decides who may ask for the counters of a server. */
export type AllowStat = (connection: Connection) => boolean | Promise<boolean>;

/** What `stat: true` means. A server that takes any client's key authenticates nobody by it (statAnswering.ts). */
export const authenticated: AllowStat = (connection) => connection.authenticated;

/** The answer, as JSON. Its members stay, and a version may add more. */
export interface StatAnswer {
  /** Whether the server takes calls. */
  readonly health: Health;
  /** Milliseconds since the server began to listen. */
  readonly uptimeMs: number;
  /** The same as `server.stats`. */
  readonly stats: ServerStats;
}

/**
 * The function that the option means: `true` allows authenticated peers, and no others.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function resolveStat(allow: unknown): AllowStat | undefined {
  if (allow === undefined || allow === false) return undefined;
  if (allow === true) return authenticated;
  if (typeof allow !== "function") throw invalidArgument("stat", "a boolean or a function");
  return allow as AllowStat;
}
