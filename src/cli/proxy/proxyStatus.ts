// The counters of a proxy, and the HTTP server that shows them to its owner.

import { ownSockets } from "../../entry/pickAdapter.ts";
import { resolveAddress } from "../../rpc/addressOption.ts";
import { HealthProbes } from "../../rpc/healthProbes.ts";
import type { Target } from "../dialling.ts";
import { CommandError } from "../exitCodes.ts";
import { Moved } from "./relay.ts";

/** Counters of one proxy. */
export class ProxyCounts {
  readonly moved = new Moved();
  /** Plain connections, open and since the start. */
  open = 0;
  total = 0;
  /** Plain connections that were cut, by either side. */
  failed = 0;
  /** Plain connections that were refused because the proxy was full. */
  refused = 0;
  reloads = 0;
  draining = false;

  get state(): "ready" | "draining" {
    return this.draining ? "draining" : "ready";
  }

  record(mode: "seal" | "open", sealed: object): object {
    const { state, open, total, failed, refused, reloads, moved } = this;
    return { mode, state, connections: { open, total, failed, refused }, ...moved, reloads, sealed };
  }
}

/** Answers /status with the record as JSON, and health probes: /readyz is not ready while the proxy drains. */
export async function serveStatus(
  address: Target,
  counts: ProxyCounts,
  record: () => object,
): Promise<HealthProbes> {
  const probes = new HealthProbes(() => counts.state, { "/status": record });
  try {
    await probes.listen(ownSockets(), resolveAddress(address, 0));
  } catch (cause) {
    throw new CommandError("unreachable", "--status can't listen", { cause });
  }
  return probes;
}
