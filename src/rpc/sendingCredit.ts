// The peer's credit for the messages and requests of this side (protocol v2), and whether the peer knows that it is spent.

import type { Controls } from "../protocol/controls.ts";
import { Balance } from "../protocol/credit.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import type { Lifecycle } from "./lifecycle.ts";

export class SendingCredit {
  readonly balance = new Balance(BASE_SETTINGS.messageCredit);
  readonly #highWaterMarkBytes: number;
  readonly #lifecycle: Lifecycle;
  readonly #controls: Controls;
  #blockedSaid = false;

  constructor(highWaterMarkBytes: number, lifecycle: Lifecycle, controls: Controls) {
    this.#highWaterMarkBytes = highWaterMarkBytes;
    this.#lifecycle = lifecycle;
    this.#controls = controls;
  }

  /**
   * The peer gives no credit, and has more bytes that it did not handle than may be unsent here. So `sendNoWait` keeps no
   * more for it: each message would be copied twice.
   */
  get peerIsFull(): boolean {
    const { balance } = this;
    return !balance.positive && balance.leastUnhandled > this.#highWaterMarkBytes;
  }

  /** @throws SealwireError ERR_PROTOCOL */
  given(bytes: number): void {
    this.balance.add(bytes);
    this.#blockedSaid = false;
  }

  /** Whether a message that has no credit can't be kept; then the peer is told, as if it were. */
  refuses(): boolean {
    if (!this.peerIsFull) return false;
    this.isSpent();
    return true;
  }

  /** There is more to send than credit. The peer is told once until it gives some. */
  isSpent(): void {
    if (this.#blockedSaid || !this.#lifecycle.isEstablished) return;
    this.#blockedSaid = true;
    this.#controls.blocked(0);
  }
}
