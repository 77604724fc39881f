// Sends the records that control a connection, its requests and its streams. Protocol v1 has no such records, so there
// it sends nothing.

import { wipe } from "../core/wipe.ts";
import { encodeError, type Origin } from "./errorBody.ts";
import { u32Value } from "./fields.ts";
import { encodeReason, type Reason } from "./reason.ts";
import { Kind } from "./wire.ts";

/** Takes records to send. It stores no reference to a body: what it sends later is a copy. */
export interface Appender {
  append(sequence: number, kind: number, body: Uint8Array): void;
}

export interface Controls {
  /** A close was sent: nothing may follow it. */
  readonly closed: boolean;
  /** This side no longer waits for the answer to its request. */
  cancel(sequence: number): void;
  /** The peer's request failed. False if the protocol can't send that. */
  error(sequence: number, origin: Origin, code: string, text: string, data?: Uint8Array): boolean;
  /** Gives the peer credit: for messages and requests (sequence 0), or for chunks with this number. */
  credit(sequence: number, bytes: number): void;
  /** Tells the peer that more waits here for credit. */
  blocked(sequence: number): void;
  /** This side sends no more chunks. */
  end(sequence: number): void;
  /** Asks the peer to send no more chunks. */
  stop(sequence: number): void;
  ping(): void;
  /** Answers a ping; with sequence 0 also unasked, as a sign of life. */
  pong(sequence: number): void;
  /** This side makes no new calls. */
  drain(reason: Reason): void;
  /** The last record of this side. */
  close(reason: Reason): void;
}

const EMPTY = new Uint8Array(0);

class SpokenControls implements Controls {
  readonly #to: Appender;
  readonly #longestBody: () => number;
  closed = false;

  constructor(to: Appender, longestBody: () => number) {
    this.#to = to;
    this.#longestBody = longestBody;
  }

  cancel(sequence: number): void {
    this.#say(sequence, Kind.cancel, EMPTY);
  }

  error(sequence: number, origin: Origin, code: string, text: string, data?: Uint8Array): boolean {
    let body = encodeError(origin, code, text, data);
    if (body.length > this.#longestBody()) {
      wipe(body);
      // Code and text alone fit into the shortest frame that a peer may ask for.
      body = encodeError(origin, code, text);
    }
    this.#say(sequence, Kind.error, body);
    wipe(body);
    return true;
  }

  credit(sequence: number, bytes: number): void {
    this.#say(sequence, Kind.credit, u32Value(bytes));
  }

  blocked(sequence: number): void {
    this.#say(sequence, Kind.blocked, EMPTY);
  }

  end(sequence: number): void {
    this.#say(sequence, Kind.end, EMPTY);
  }

  stop(sequence: number): void {
    this.#say(sequence, Kind.stop, EMPTY);
  }

  ping(): void {
    this.#say(0, Kind.ping, EMPTY);
  }

  pong(sequence: number): void {
    this.#say(sequence, Kind.pong, EMPTY);
  }

  drain(reason: Reason): void {
    this.#say(0, Kind.drain, encodeReason(reason));
  }

  close(reason: Reason): void {
    this.#say(0, Kind.close, encodeReason(reason));
    this.closed = true;
  }

  #say(sequence: number, kind: number, body: Uint8Array): void {
    if (!this.closed) this.#to.append(sequence, kind, body);
  }
}

const silentControls: Controls = {
  closed: false,
  cancel() {},
  error: () => false,
  credit() {},
  blocked() {},
  end() {},
  stop() {},
  ping() {},
  pong() {},
  drain() {},
  close() {},
};

/** The controls of a connection. `withKind`: protocol v2. */
export function controlsFor(withKind: boolean, to: Appender, longestBody: () => number): Controls {
  return withKind ? new SpokenControls(to, longestBody) : silentControls;
}
