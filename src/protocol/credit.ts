// Credit: bytes that one side may send before the other gives more. A sender may send as long as its balance is above
// zero; the last thing that it sends may take the balance below. A receiver gives credit back in portions, so that it
// never costs a record for each message.

import { SealwireError } from "../base/errors.ts";
import { readU32 } from "../core/bytes.ts";
import { MAX_CREDIT } from "./settings.ts";

/** What a message or request costs beside its head and body: about what it costs its receiver to keep. */
const MESSAGE_COST = 64;

/** What a message or request with so many bytes of head and body costs. */
export function messageCost(bytes: number): number {
  return MESSAGE_COST + bytes;
}

/**
 * What a credit record adds to a balance: its body is bytes [start, end).
 *
 * @throws SealwireError ERR_PROTOCOL
 */
export function creditIn(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 4) throw new SealwireError("ERR_PROTOCOL", "credit that is no number");
  return readU32(bytes, start);
}

/** The sending side's account. */
export class Balance {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Something may be sent. */
  get positive(): boolean {
    return this.#bytes > 0;
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** @throws SealwireError ERR_PROTOCOL for nothing, and for more than a balance may be */
  add(bytes: number): void {
    if (bytes === 0 || this.#bytes + bytes > MAX_CREDIT) {
      throw new SealwireError("ERR_PROTOCOL", `credit of ${bytes} bytes on a balance of ${this.#bytes}`);
    }
    this.#bytes += bytes;
  }
}

/** The receiving side's account of what the peer may send. */
export class Allowance {
  /** What the peer may still send, as this side knows it. */
  #left: number;
  /** Dealt with, and not given back yet. */
  #returned = 0;
  #window: number;
  readonly #mostCollected: number;

  /** `mostCollected`: credit is given when so much is owed, if half a window is more. */
  constructor(window: number, mostCollected = Number.POSITIVE_INFINITY) {
    this.#left = window;
    this.#window = window;
    this.#mostCollected = mostCollected;
  }

  /** What the peer may send at most before it gets more. */
  get window(): number {
    return this.#window;
  }

  /** What the peer may still send before it gets more; below 0 after a record that overdrew it. */
  get left(): number {
    return this.#left;
  }

  /** Bytes that arrived and have not been given back to the peer. */
  get outstanding(): number {
    return this.#window - this.#left;
  }

  /** Something arrived. False when the peer had no credit for it. */
  receive(bytes: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= bytes;
    return true;
  }

  /** What arrived was dealt with. */
  giveBack(bytes: number): void {
    this.#returned += bytes;
  }

  /** The peer knows, without being told, that it may have more. */
  raise(bytes: number): void {
    this.#window += bytes;
    this.#left += bytes;
  }

  /** The peer may have more than before. */
  widen(bytes: number): void {
    this.#window += bytes;
    this.#returned += bytes;
  }

  /** The peer may have less than before: so much of what was dealt with is not given back. At most `returned`. */
  narrow(bytes: number): void {
    this.#window -= bytes;
    this.#returned -= bytes;
  }

  /** What was dealt with and not given back. */
  get returned(): number {
    return this.#returned;
  }

  /** Credit that should be given now: half a window or what is collected at most, anything for a peer without. 0: none. */
  get due(): number {
    const portion = Math.min(this.#window / 2, this.#mostCollected);
    const enough = this.#returned >= portion || this.#left <= 0;
    return enough ? this.#returned : 0;
  }

  /** `due` was given. */
  given(bytes: number): void {
    this.#returned -= bytes;
    this.#left += bytes;
  }
}
