// The life of a call that has streams: the streams of its arguments stay open until the call is answered and the last
// stream of its answer is over.

import type { ServedCall } from "./callContext.ts";
import type { StreamReader } from "./streamReader.ts";

export class ServedScope {
  readonly method: string;
  readonly #readers: StreamReader[] = [];
  #openStreams = 0;
  /** The handler's context, if it has one. */
  context: ServedCall | undefined;

  constructor(method: string, context: ServedCall | undefined) {
    this.method = method;
    this.context = context;
  }

  /** A stream of the arguments. */
  addReader(reader: StreamReader): void {
    this.#readers.push(reader);
  }

  /** A stream of the answer. */
  streamOffered(): void {
    this.#openStreams++;
  }

  /** A stream of the answer has ended. */
  streamEnded(): void {
    this.#openStreams--;
    this.answered();
  }

  /** The caller left a stream of the answer. */
  streamLeft(reason: unknown): void {
    this.#openStreams--;
    if (this.#openStreams === 0) this.context?.abandon(reason);
    this.answered();
  }

  /** No caller waits for the call, so a method must not wait for streams that the caller may never end. */
  cancelled(reason: unknown): void {
    for (const reader of this.#readers.splice(0)) reader.fail(reason);
  }

  /** The call is answered, or a stream of it is over. */
  answered(): void {
    if (this.#openStreams > 0) return;
    for (const reader of this.#readers.splice(0)) reader.leave();
  }
}

/** An object that makes its scope when it is read. */
export interface ScopeOwner {
  readonly scope: ServedScope;
}
