// Messages and requests with which the rest of a bundle begins, as long as each begins at once: a loop per kind, so that
// the runtimes compile everything that such a message needs into one function (docs/PERFORMANCE-LOG.md, "One function for
// one-way messages" and "Loops for requests and replies"). `Arrivals.message` does the same for any message, step by step.

import { readU32 } from "../core/bytes.ts";
import { KIND_HEADER_BYTES, Kind, LENGTH_BYTES, RECORD_FRONT_BYTES } from "../protocol/wire.ts";
import type { Handlers, HandlersOptions } from "./handlers.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { MessageCredit } from "./messageCredit.ts";
import type { MessageFactory } from "./messageFactory.ts";
import type { TurnClock } from "./turnClock.ts";
import type { WaitingRoom } from "./waitingRoom.ts";

/** The rest of the arrivals. */
export interface RunsOwner {
  /** Another handler may begin. */
  readonly ready: boolean;
  readonly clock: TurnClock;
  readonly credit: MessageCredit;
  readonly lifecycle: Lifecycle;
  lastBegun: number;
  /** @throws SealwireError ERR_PROTOCOL if the peer may not use this number now */
  checkNumber(sequence: number): void;
}

export class MessageRuns {
  readonly #owner: RunsOwner;
  readonly #options: Pick<HandlersOptions, "onMessage">;
  readonly #room: WaitingRoom;
  readonly #messages: MessageFactory;
  readonly #handlers: Handlers;

  constructor(
    owner: RunsOwner,
    options: Pick<HandlersOptions, "onMessage">,
    room: WaitingRoom,
    messages: MessageFactory,
    handlers: Handlers,
  ) {
    this.#owner = owner;
    this.#options = options;
    this.#room = room;
    this.#messages = messages;
    this.#handlers = handlers;
  }

  /**
   * Records [start, end) of a bundle, see `RecordHandler.run`. Returns the index of the first record that is neither a
   * message nor a request, can't begin now, or does not fit into the bundle.
   */
  take(bytes: Uint8Array, start: number, end: number, more: number): number {
    if (this.#options.onMessage === undefined) return start;
    const oneWaysEnd = this.#takeOneWays(bytes, start, end, more);
    return oneWaysEnd > start ? oneWaysEnd : this.#takeRequests(bytes, start, end, more);
  }

  #takeOneWays(bytes: Uint8Array, start: number, end: number, more: number): number {
    const owner = this.#owner;
    const { clock, credit, lifecycle } = owner;
    const { oneWay } = this.#room;
    const messages = this.#messages;
    const handlers = this.#handlers;
    let record = start;
    while (end - record >= RECORD_FRONT_BYTES) {
      // Not by functions, because V8 takes only so much code of others into this one.
      const recordBytes =
        (bytes[record]! << 24) | (bytes[record + 1]! << 16) | (bytes[record + 2]! << 8) | bytes[record + 3]!;
      const at = record + LENGTH_BYTES;
      const number = bytes[at]! | bytes[at + 1]! | bytes[at + 2]! | bytes[at + 3]!;
      const bodyStart = record + RECORD_FRONT_BYTES;
      if (number !== 0 || bytes[bodyStart - 1] !== Kind.message) break;
      const length = recordBytes - KIND_HEADER_BYTES;
      const rest = end - bodyStart - length;
      if (length < 0 || rest < 0) break;
      if (!oneWay.isEmpty || !owner.ready || lifecycle.isOver) break;
      credit.payAndGiveBack(length);
      const message = messages.makeOneWay(bytes, bodyStart, bodyStart + length, true, rest + more);
      if (handlers.run(message)) messages.done(message);
      clock.count();
      record = bodyStart + length;
    }
    return record;
  }

  #takeRequests(bytes: Uint8Array, start: number, end: number, more: number): number {
    const owner = this.#owner;
    const { clock, credit, lifecycle } = owner;
    const room = this.#room;
    const messages = this.#messages;
    const handlers = this.#handlers;
    let record = start;
    while (end - record >= RECORD_FRONT_BYTES) {
      const sequence = readU32(bytes, record + LENGTH_BYTES);
      const bodyStart = record + RECORD_FRONT_BYTES;
      if (sequence === 0 || bytes[bodyStart - 1] !== Kind.message) break;
      const length = readU32(bytes, record) - KIND_HEADER_BYTES;
      const rest = end - bodyStart - length;
      if (length < 0 || rest < 0) break;
      if (room.hasRequests || !owner.ready || lifecycle.isOver) break;
      credit.payAndGiveBack(length);
      owner.checkNumber(sequence);
      owner.lastBegun = sequence;
      handlers.run(messages.make(sequence, bytes, bodyStart, bodyStart + length, true, rest + more));
      clock.count();
      record = bodyStart + length;
    }
    return record;
  }
}
