// Credit: bytes that one side may send before the other gives more. A sender may send as long as its balance is above
// zero; its last record may make the balance negative. A receiver gives credit back in portions, so that it does not
// send a record for each message.

import { SealwireError } from "../base/errors.ts";
import { readU32 } from "../core/bytes.ts";
import { MAX_CREDIT } from "./settings.ts";

/** The cost of a message or request beside its head and body: about the memory that its receiver needs to store it. */
const MESSAGE_COST = 64;

/**
 * A wide window of messages gives credit back in portions of this size, not of half a window, so that its sender rarely
 * has none.
 */
export const MOST_COLLECTED_BYTES = 1_048_576;

/** The cost of a message or request with this many bytes of head and body. */
export function messageCost(bytes: number): number {
  return MESSAGE_COST + bytes;
}

/**
 * The credit in the body of a credit record: bytes [start, end).
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
  #highest: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#highest = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Once nothing is left of the highest balance, the peer has at least so many bytes that it did not handle. It may have
   * handled others and not given their credit back.
   */
  get leastUnhandled(): number {
    return this.#highest - MOST_COLLECTED_BYTES;
  }

  /** Something may be sent. */
  get positive(): boolean {
    return this.#bytes > 0;
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** @throws SealwireError ERR_PROTOCOL for zero, and for more than the largest balance */
  add(bytes: number): void {
    if (bytes === 0 || this.#bytes + bytes > MAX_CREDIT) {
      throw new SealwireError("ERR_PROTOCOL", `credit of ${bytes} bytes on a balance of ${this.#bytes}`);
    }
    this.#bytes += bytes;
    this.#highest = Math.max(this.#highest, this.#bytes);
  }
}

/** The receiving side's account of the peer's credit. */
export class Allowance {
  /** The credit that the peer has left, as far as this side knows. */
  #left: number;
  /** Bytes that were handled, and whose credit was not given back. */
  #returned = 0;
  #window: number;
  readonly #mostCollected: number;

  /** `mostCollected`: credit is given back when this much is owed, if half a window is more. */
  constructor(window: number, mostCollected = Number.POSITIVE_INFINITY) {
    this.#left = window;
    this.#window = window;
    this.#mostCollected = mostCollected;
  }

  /** The most credit of the peer at a time. */
  get window(): number {
    return this.#window;
  }

  /** The credit that the peer has left; negative after a record that overdrew it. */
  get left(): number {
    return this.#left;
  }

  /** Bytes that arrived and whose credit was not given back. */
  get outstanding(): number {
    return this.#window - this.#left;
  }

  /** Bytes arrived. False if the peer had no credit for them. */
  receive(bytes: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= bytes;
    return true;
  }

  /** Bytes arrived, and were handled at once. False if the peer had no credit for them. */
  receiveAndGiveBack(bytes: number): boolean {
    const isPaid = this.receive(bytes);
    if (isPaid) this.#returned += bytes;
    return isPaid;
  }

  /** Arrived bytes were handled. */
  giveBack(bytes: number): void {
    this.#returned += bytes;
  }

  /** Raises the window; the peer knows this without a record. */
  raise(bytes: number): void {
    this.#window += bytes;
    this.#left += bytes;
  }

  /** Raises the window. */
  widen(bytes: number): void {
    this.#window += bytes;
    this.#returned += bytes;
  }

  /** Lowers the window: this much of the handled bytes is not given back. At most `returned`. */
  narrow(bytes: number): void {
    this.#window -= bytes;
    this.#returned -= bytes;
  }

  /** Bytes that were handled, and whose credit was not given back. */
  get returned(): number {
    return this.#returned;
  }

  /**
   * The credit that should be given now: due from half a window or `mostCollected` on, and at once for a peer without
   * credit. 0: none.
   */
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
