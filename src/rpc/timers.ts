// One timer wheel per process: a deadline costs a linked-list insertion, not a runtime timer.
//
// A wheel of SLOTS ticks; an entry sits in the slot of its deadline's tick, and one that lies whole turns
// ahead is looked at once per turn. The runtime's timer runs only while entries exist.

import { TIMER_TICK_MS } from "../constants.ts";

const SLOTS = 1_024;

/** Something with a deadline. Extend it, or give it a callback; it is in the wheel at most once. */
export class Deadline {
  /** Internal to the wheel: neighbours in the slot's list, and the tick at which to fire. */
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  tick = -1;

  /** Called once when the time has come. Not called after `cancel`. */
  expire(): void {}

  get armed(): boolean {
    return this.tick !== -1;
  }
}

/** A deadline that calls a function. */
export class CallbackDeadline extends Deadline {
  readonly #callback: () => void;

  constructor(callback: () => void) {
    super();
    this.#callback = callback;
  }

  override expire(): void {
    this.#callback();
  }
}

class TimerWheel {
  readonly #slots: (Deadline | undefined)[] = new Array(SLOTS).fill(undefined);
  #count = 0;
  /** Every tick up to and including this one has been handled. */
  #handled = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Deadlines that wait now. */
  get size(): number {
    return this.#count;
  }

  /** Arms `deadline` to expire in `ms` milliseconds: up to one tick late, never early. Re-arms an armed one. */
  arm(deadline: Deadline, ms: number): void {
    if (deadline.tick !== -1) this.cancel(deadline);
    const now = performance.now();
    if (this.#timer === undefined) {
      this.#handled = Math.floor(now / TIMER_TICK_MS);
      this.#timer = setInterval(() => this.#advance(), TIMER_TICK_MS);
    }
    const tick = Math.max(Math.ceil((now + ms) / TIMER_TICK_MS), this.#handled + 1);
    deadline.tick = tick;
    const slot = tick % SLOTS;
    const head = this.#slots[slot];
    deadline.next = head;
    if (head !== undefined) head.previous = deadline;
    this.#slots[slot] = deadline;
    this.#count++;
  }

  /** Disarms. Harmless when it is not armed. */
  cancel(deadline: Deadline): void {
    if (deadline.tick === -1) return;
    if (deadline.previous !== undefined) deadline.previous.next = deadline.next;
    else this.#slots[deadline.tick % SLOTS] = deadline.next;
    if (deadline.next !== undefined) deadline.next.previous = deadline.previous;
    deadline.previous = undefined;
    deadline.next = undefined;
    deadline.tick = -1;
    this.#count--;
  }

  #advance(): void {
    // Stopped when found empty, not on the last cancel: a stream of short calls would otherwise start and stop
    // a runtime timer for each.
    if (this.#count === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = Math.floor(performance.now() / TIMER_TICK_MS);
    // After a long stall every slot is visited once; that covers all ticks missed.
    const from = Math.max(this.#handled + 1, now - SLOTS + 1);
    this.#handled = now;
    for (let tick = from; tick <= now; tick++) {
      let deadline = this.#slots[tick % SLOTS];
      while (deadline !== undefined) {
        const next: Deadline | undefined = deadline.next;
        if (deadline.tick <= now) {
          this.cancel(deadline);
          deadline.expire();
          // `expire` may have taken the remembered neighbour out of this list: start over, what is due is gone.
          deadline =
            next !== undefined && next.tick % SLOTS !== tick % SLOTS ? this.#slots[tick % SLOTS] : next;
        } else {
          deadline = next;
        }
      }
    }
  }
}

/** The process's wheel. */
export const timers = new TimerWheel();
