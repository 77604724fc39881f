// Messages and requests of the peer whose handlers have not begun (protocol v2). Requests wait in one queue, one-way
// messages in another. The two take turns, so neither waits behind all of the other.

import { wipeBefore } from "../protocol/bodies.ts";
import { Line } from "./line.ts";
import { type IncomingMessage, Waiting } from "./message.ts";
import { PackedQueue } from "./packedQueue.ts";

export class WaitingRoom {
  readonly #requests = new Line<IncomingMessage>();
  /** One-way messages as bytes; those with a head are marked. */
  readonly oneWay = new PackedQueue<never>();
  #oneWayIsNext = false;

  get isEmpty(): boolean {
    return this.#requests.length === 0 && this.oneWay.isEmpty;
  }

  /** A request waits, so no later request may begin. */
  get hasRequests(): boolean {
    return this.#requests.length > 0;
  }

  /** A one-way message, its head included, as a copy. Not `lent`: no other code uses its memory. */
  addOneWay(bytes: Uint8Array, start: number, end: number, lent: boolean, hasHead: boolean): void {
    this.oneWay.push(bytes, start, end, hasHead);
    if (!lent) wipeBefore(bytes, end);
  }

  /** A request. `cost`: the credit that goes back when it begins, or never will. */
  add(message: IncomingMessage, cost: number): void {
    message.waiting = new Waiting(message, cost);
    this.#requests.join(message.waiting);
  }

  /**
   * The next request to begin, with its cost in `waiting`; undefined: a one-way message, shown by `oneWay`. Only while the
   * room is not empty.
   */
  take(): IncomingMessage | undefined {
    const request = this.#requests.first;
    if (request === undefined || (this.#oneWayIsNext && !this.oneWay.isEmpty)) {
      this.#oneWayIsNext = false;
      return this.oneWay.take();
    }
    this.#oneWayIsNext = true;
    this.remove(request);
    return request;
  }

  /** A request won't begin. Returns its cost, or 0 if it did not wait. */
  remove(request: IncomingMessage): number {
    const { waiting } = request;
    if (waiting?.line === undefined) return 0;
    waiting.leave();
    return waiting.cost;
  }

  /** None of the messages will begin: they are wiped. */
  clear(): void {
    for (let request = this.#requests.first; request !== undefined; request = this.#requests.first) {
      this.remove(request);
      request.wipe();
    }
    this.oneWay.clear();
  }
}
