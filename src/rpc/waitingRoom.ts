// Messages and requests of the peer that have arrived and whose handlers have not begun (protocol v2). Requests and
// one-way messages wait apart, each in their order, and are begun in turn: neither waits behind all of the other.

import type { IncomingMessage } from "./message.ts";

export interface WaitingMessage {
  readonly message: IncomingMessage;
  /** Credit that goes back when it begins, or never will. */
  readonly cost: number;
}

export class WaitingRoom {
  readonly #requests = new Map<IncomingMessage, WaitingMessage>();
  readonly #oneWay = new Map<IncomingMessage, WaitingMessage>();
  #oneWayIsNext = false;

  get isEmpty(): boolean {
    return this.#requests.size === 0 && this.#oneWay.size === 0;
  }

  /** Something of the same kind waits, before which this one must not begin. */
  mustWait(isRequest: boolean): boolean {
    return (isRequest ? this.#requests : this.#oneWay).size > 0;
  }

  add(message: IncomingMessage, cost: number): void {
    const line = message.sequence === 0 ? this.#oneWay : this.#requests;
    line.set(message, { message, cost });
  }

  /** The next one to begin; it waits no more. Only while it is not empty. */
  next(): WaitingMessage {
    const preferred = this.#oneWayIsNext ? this.#oneWay : this.#requests;
    const other = this.#oneWayIsNext ? this.#requests : this.#oneWay;
    const line = preferred.size > 0 ? preferred : other;
    this.#oneWayIsNext = line === this.#requests;
    const [message, waiting] = line.entries().next().value!;
    line.delete(message);
    return waiting;
  }

  /** It won't begin. Returns its cost; 0 when it did not wait. */
  remove(message: IncomingMessage): number {
    const line = message.sequence === 0 ? this.#oneWay : this.#requests;
    const waiting = line.get(message);
    line.delete(message);
    return waiting?.cost ?? 0;
  }

  clear(): void {
    this.#requests.clear();
    this.#oneWay.clear();
  }
}
