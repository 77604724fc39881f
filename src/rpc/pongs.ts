// Answers to pings. At most one pong waits: it answers all pings that came before it leaves.

import type { Lifecycle } from "./lifecycle.ts";
import type { Outbox } from "./outbox.ts";

export class Pongs {
  readonly #lifecycle: Lifecycle;
  readonly #outbox: Outbox;
  /** A pong waits until this many bytes were sent. */
  #waitsUntil = -1;

  constructor(lifecycle: Lifecycle, outbox: Outbox) {
    this.#lifecycle = lifecycle;
    this.#outbox = outbox;
  }

  ping(sequence: number): void {
    const { sender, controls } = this.#outbox;
    if (!this.#lifecycle.maySend || sender.bytes.taken < this.#waitsUntil) return;
    controls.pong(sequence);
    this.#waitsUntil = sender.bytes.accepted;
  }
}
