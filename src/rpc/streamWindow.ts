// The window of one stream: its first credit, and its part of the shared window of the connection.

import { now } from "../core/eventLoop.ts";
import { Allowance } from "../protocol/credit.ts";
import { FIRST_STREAM_CREDIT, type SharedWindow } from "./sharedWindow.ts";

/**
 * Credit is given in portions of this size, or of half a window if that is less, so that nearly the whole window is in
 * use.
 */
const PORTION_BYTES = 131_072;
/** Growth each time that the sender waits and the consumer has taken everything: a slow consumer gets little. */
const MAX_GROWTH = 4;

export class StreamWindow {
  readonly #windows: SharedWindow;
  readonly #clock: () => number;
  readonly #allowance = new Allowance(FIRST_STREAM_CREDIT, PORTION_BYTES);
  /** Its part of the shared window; undefined: it never wanted more than its first credit. */
  #shared: number | undefined;
  /** When the measured credit was given, how much the sender could send without it, and the total of all streams. */
  #givenAt: number | undefined;
  #leftThen = 0;
  #totalThen = 0;
  /** The sender had no credit left before that credit came, so it used it at once. */
  #senderWaited = false;
  /** The sender said that it waits, and has got no credit since. */
  #senderWaits = false;

  /** `clock`: milliseconds. */
  constructor(windows: SharedWindow, clock: () => number = now) {
    this.#windows = windows;
    this.#clock = clock;
  }

  /** The bytes that the sender may have on their way. */
  get bytes(): number {
    return this.#allowance.window;
  }

  /** Bytes that were taken and not given back to the sender yet. */
  get returned(): number {
    return this.#allowance.returned;
  }

  /** The credit that should be given now. */
  get due(): number {
    return this.#allowance.due;
  }

  /** A chunk arrived. False if its sender had no credit for it. */
  receive(cost: number): boolean {
    if (!this.#allowance.receive(cost)) return false;
    if (this.#givenAt === undefined) return true;
    if (this.#leftThen > 0) this.#leftThen -= cost;
    else {
      if (this.#senderWaited) this.#windows.measured(this.#givenAt, this.#clock(), this.#totalThen);
      this.#givenAt = undefined;
    }
    return true;
  }

  /** The application has taken bytes of this cost. */
  giveBack(cost: number): void {
    this.#allowance.giveBack(cost);
  }

  /** The sender has more to send, and no credit. */
  senderWaits(): void {
    this.#senderWaits = true;
    if (this.#leftThen <= 0) this.#senderWaited = true;
  }

  /** The consumer keeps up with a sender that could send more. */
  widen(): void {
    if (this.#shared === undefined) {
      this.#shared = 0;
      this.#windows.join();
    }
    const { window } = this.#allowance;
    const wanted = Math.min(this.#windows.share, window * MAX_GROWTH) - window;
    if (wanted <= 0) return;
    const more = this.#windows.take(wanted);
    this.#shared += more;
    this.#allowance.widen(more);
  }

  /** The credit that the sender gets now. The stream keeps back what exceeds its share. */
  takeCredit(): number {
    this.#narrow();
    const allowance = this.#allowance;
    const bytes = allowance.returned;
    if (bytes > 0 && this.#givenAt === undefined) {
      this.#givenAt = this.#clock();
      this.#leftThen = allowance.left;
      this.#totalThen = this.#windows.total;
      this.#senderWaited = this.#senderWaits && allowance.left <= 0;
    }
    if (bytes > 0) this.#senderWaits = false;
    allowance.given(bytes);
    return bytes;
  }

  /** The stream is over: its part of the shared window is free. */
  leave(): void {
    if (this.#shared === undefined) return;
    this.#windows.giveBack(this.#shared);
    this.#windows.leave();
    this.#shared = undefined;
  }

  #narrow(): void {
    if (this.#shared === undefined) return;
    const above = this.#allowance.window - this.#windows.share;
    const less = Math.min(above, this.#shared, this.#allowance.returned);
    if (less <= 0) return;
    this.#allowance.narrow(less);
    this.#shared -= less;
    this.#windows.giveBack(less);
  }
}
