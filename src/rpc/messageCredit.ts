// Accounts for the credit of the peer's messages, requests and calls (protocol v2). Each of them is charged when it
// arrives. Its credit goes back when its handler begins, or when it is certain that none will.

import { SealwireError } from "../base/errors.ts";
import { now } from "../core/eventLoop.ts";
import { Allowance, MOST_COLLECTED_BYTES, messageCost } from "../protocol/credit.ts";
import { BASE_SETTINGS } from "../protocol/settings.ts";
import { IdleShare } from "./idleShare.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Up to this size a window grows whenever the peer has more to send. On a short path a larger one makes nothing faster:
 * what the kernel holds for a receiver that is busy leaves the processor's caches.
 */
const SHORT_PATH_WINDOW_BYTES = 4_194_304;
/** The widest window: the bytes that a peer may have on their way if its messages begin at once. */
const MAX_WINDOW_BYTES = 16_777_216;
/** From this share of its time on, a receiver that waits for its peer has a path that is longer than the window. */
const LONG_PATH = 0.5;

export class MessageCredit {
  readonly #speaksV2: boolean;
  readonly #lifecycle: Lifecycle;
  readonly #outbox: Outbox;
  readonly #allowance = new Allowance(BASE_SETTINGS.messageCredit, MOST_COLLECTED_BYTES);
  readonly #idle = new IdleShare();

  constructor(speaksV2: boolean, lifecycle: Lifecycle, outbox: Outbox) {
    this.#speaksV2 = speaksV2;
    this.#lifecycle = lifecycle;
    this.#outbox = outbox;
  }

  /** This side's settings were sent: the peer may use them. */
  settingsSent(windowBytes: number): void {
    const more = windowBytes - this.#allowance.window;
    if (more > 0) this.#allowance.raise(more);
  }

  /** The cost of messages that have arrived and not begun. 0 if none waits; otherwise credit is lost. */
  get held(): number {
    return this.#allowance.outstanding - this.#allowance.returned;
  }

  /**
   * A message arrived. Returns its cost.
   *
   * @throws SealwireError ERR_PROTOCOL if the peer had no credit
   */
  pay(bytes: number): number {
    if (!this.#speaksV2) return 0;
    if (this.#idle.waits) this.#idle.arrived(now());
    const cost = messageCost(bytes);
    requirePaid(this.#allowance.receive(cost));
    return cost;
  }

  /**
   * The same for a message that begins at once.
   *
   * @throws SealwireError ERR_PROTOCOL if the peer had no credit
   */
  payAndGiveBack(bytes: number): void {
    if (!this.#speaksV2) return;
    if (this.#idle.waits) this.#idle.arrived(now());
    requirePaid(this.#allowance.receiveAndGiveBack(messageCost(bytes)));
  }

  /** The message has begun, or never will. */
  giveBack(cost: number): void {
    this.#allowance.giveBack(cost);
  }

  /** Sends the peer the credit that is due, in one record at the end of a read. */
  grant(): void {
    const { due } = this.#allowance;
    if (due === 0 || !this.#speaksV2 || !this.#lifecycle.maySend) return;
    if (this.#outbox.blocked) {
      // Later, as soon as the peer has taken enough bytes; no other event may remind this side.
      this.#outbox.sender.wantRelief();
      return;
    }
    this.#allowance.given(due);
    this.#outbox.controls.credit(0, due);
  }

  /** The peer has more to send than credit, and handlers keep up: it gets more. */
  widen(): void {
    const { window } = this.#allowance;
    if (window >= SHORT_PATH_WINDOW_BYTES && !this.#pathIsLong()) return;
    const more = Math.min(window, MAX_WINDOW_BYTES - window);
    if (more > 0) this.#allowance.widen(more);
  }

  #pathIsLong(): boolean {
    return (this.#idle.ranOut(now()) ?? 0) >= LONG_PATH;
  }
}

function requirePaid(isPaid: boolean): void {
  if (!isPaid) throw new SealwireError("ERR_PROTOCOL", "a message that the peer had no credit for");
}
