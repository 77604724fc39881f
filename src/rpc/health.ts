// Says whether a server should be given new connections. A port that speaks Noise can't answer HTTP probes, so
// healthProbes.ts answers them on a port of its own.
//
//   ready ──close──▶ draining ──the last socket is gone──▶ stopped

import { loadPart } from "../base/loadPart.ts";
import type { HealthProbes } from "./healthProbes.ts";
import { callListener } from "./listeners.ts";
import type { Adapter, Address } from "./transport.ts";

/** Whether a server takes calls: ready until it closes, then draining, then stopped. */
export type Health = "ready" | "draining" | "stopped";
/** Called when the health of a server changes. */
export type HealthListener = (health: Health) => unknown;

export class HealthReport {
  readonly #onHealth: HealthListener | undefined;
  #probes: HealthProbes | undefined;
  #health: Health | undefined;

  constructor(onHealth: HealthListener | undefined) {
    this.#onHealth = onHealth;
  }

  /** Before the server listens, nothing reads this, and "stopped" is right. */
  get health(): Health {
    return this.#health ?? "stopped";
  }

  /** The port on which probes are answered; 0 without one. */
  get port(): number {
    return this.#probes?.port ?? 0;
  }

  /** Rejects with ERR_LISTEN_FAILED, ERR_UNSUPPORTED. */
  async listen(adapter: Adapter, address: Address): Promise<void> {
    const { HealthProbes } = await loadPart("health probes", () => import("./healthProbes.ts"));
    this.#probes = new HealthProbes(() => this.health);
    await this.#probes.listen(adapter, address);
  }

  /** Whether listening for probes keeps the process alive. A running probe always does, because it ends by itself. */
  keepAlive(on: boolean): void {
    this.#probes?.keepAlive(on);
  }

  become(health: Health): void {
    if (this.#health === health) return;
    this.#health = health;
    callListener("onHealth", this.#onHealth, health);
  }

  /** Stops answering probes. */
  async close(): Promise<void> {
    await this.#probes?.close();
  }
}
