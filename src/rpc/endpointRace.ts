// Starts attempts one after the other, without waiting for the end of each (RFC 8305 section 5): the next one begins
// when one has failed, or 250 ms after the last one began. When one succeeds, those under way continue, because their
// servers serve as well.

import { CallbackDeadline } from "./deadline.ts";
import type { EndpointMember } from "./endpointMember.ts";
import { timers } from "./timers.ts";

/** RFC 8305 section 8: Connection Attempt Delay. */
const ATTEMPT_DELAY_MS = 250;

export class EndpointRace {
  readonly #queue: EndpointMember[];
  readonly #next = new CallbackDeadline(() => this.#begin());
  #underWay = 0;
  #lastError: unknown;
  #settle!: (error: unknown) => void;
  #over = false;
  /** Settles without rejecting: with the last error when every attempt failed, with undefined when one succeeded. */
  readonly outcome: Promise<unknown>;

  constructor(order: readonly EndpointMember[]) {
    this.#queue = [...order];
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#begin();
  }

  /** The members that `find` returns take part after the others. It is not called if the race is over by then. */
  add(find: () => readonly EndpointMember[]): void {
    if (this.#over) return;
    this.#queue.push(...find());
    if (!this.#next.armed) this.#begin();
  }

  /** No further attempt begins. */
  stop(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    timers.cancel(this.#next);
    this.#settle(error);
  }

  #begin(): void {
    if (this.#over) return;
    timers.cancel(this.#next);
    const member = this.#queue.shift();
    if (member !== undefined) {
      this.#underWay++;
      member.connect().then((error) => this.#ended(error));
      if (this.#queue.length > 0) timers.arm(this.#next, ATTEMPT_DELAY_MS);
    } else if (this.#underWay === 0) {
      this.stop(this.#lastError);
    }
  }

  #ended(error: unknown): void {
    this.#underWay--;
    if (error === undefined) {
      this.stop();
      return;
    }
    this.#lastError = error;
    this.#begin();
  }
}
