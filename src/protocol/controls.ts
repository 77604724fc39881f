// What a connection says beside its messages and answers. Protocol v1 has no words for it: there it is silent.

import { encodeError } from "./errorBody.ts";
import { Kind } from "./wire.ts";

/** Where messages to send go. */
export interface Appender {
  append(sequence: number, kind: number, body: Uint8Array): void;
}

export interface Controls {
  /** This side no longer waits for the answer to its request. */
  cancel(sequence: number): void;
  /** The peer's request failed. False where the protocol can't say so. */
  error(sequence: number, code: string, text: string): boolean;
  ping(): void;
  /** Answers a ping; with sequence 0 also unasked, as a sign of life. */
  pong(sequence: number): void;
  /** Nothing new from this side. */
  drain(): void;
  /** The last frame of this side. */
  close(): void;
}

const EMPTY = new Uint8Array(0);
/** What an error is cut to where a longer one does not fit into a frame. */
const SHORT_CODE_LENGTH = 16;

class SpokenControls implements Controls {
  readonly #to: Appender;
  readonly #longestBody: number;

  constructor(to: Appender, longestBody: number) {
    this.#to = to;
    this.#longestBody = longestBody;
  }

  cancel(sequence: number): void {
    this.#to.append(sequence, Kind.cancel, EMPTY);
  }

  error(sequence: number, code: string, text: string): boolean {
    const body = encodeError(code, text);
    const fits = body.length <= this.#longestBody;
    this.#to.append(sequence, Kind.error, fits ? body : encodeError(code.slice(0, SHORT_CODE_LENGTH), ""));
    return true;
  }

  ping(): void {
    this.#to.append(0, Kind.ping, EMPTY);
  }

  pong(sequence: number): void {
    this.#to.append(sequence, Kind.pong, EMPTY);
  }

  drain(): void {
    this.#to.append(0, Kind.drain, EMPTY);
  }

  close(): void {
    this.#to.append(0, Kind.close, EMPTY);
  }
}

const silentControls: Controls = {
  cancel() {},
  error: () => false,
  ping() {},
  pong() {},
  drain() {},
  close() {},
};

/** The controls of a connection. `withKind`: protocol v2. */
export function controlsFor(withKind: boolean, to: Appender, longestBody: number): Controls {
  return withKind ? new SpokenControls(to, longestBody) : silentControls;
}
