// One timer wheel per process: a deadline costs a linked-list insertion, not a runtime timer.
//
//   near: NEAR_TICKS lists, one per tick, for deadlines within NEAR_TICKS ticks (16 s)
//   far:  one list for the rest, searched once per NEAR_TICKS ticks, when its nearest deadlines move to the near lists
//   new:  one list for deadlines whose time begins when this turn ends
//
// One timer of the runtime is set for the next list that is not empty, so an idle process wakes at most once per
// NEAR_TICKS ticks. The timer moves to an earlier time only: after a cancelled deadline it stays, and fires once for
// nothing. The process stays alive while a deadline is armed that is not quiet.
//
// A timer that fires late shows that the event loop was stalled: the application was busy, or the machine slept. Bytes
// that peers sent meanwhile are still in the kernel. Due deadlines then wait until the sockets were polled, so that a
// peer that answered in time is heard before it is declared dead. This happens once per stall, so no deadline is
// delayed for ever. The sockets are polled twice, because Deno needs the second poll for a socket that was connected
// meanwhile.

import {
  now,
  type RuntimeTimer,
  setTimerKeepsAlive,
  startTimer,
  stopTimer,
  yieldToEventLoop,
} from "../core/eventLoop.ts";
import type { WheelEntry } from "./deadline.ts";

/** Resolution of the wheel: a deadline fires at most this much late, never early. */
export const TIMER_TICK_MS = 16;
const NEAR_TICKS = 1_024;
/** The index of the far list, after the near ones. */
const FAR = NEAR_TICKS;
/** The index of the list of deadlines that were armed in this turn and have no tick yet. */
const NEW = FAR + 1;
/** A timer of the runtime may be this late without a stall. */
const LATE_TICKS = 2;
/** How often the wheel may run empty and stop the runtime's timer. After that the timer fires for nothing instead. */
const STOPS = 16;

class TimerWheel {
  readonly #lists: (WheelEntry | undefined)[] = new Array(NEW + 1).fill(undefined);
  #count = 0;
  /** Armed deadlines that keep the process alive. */
  #keeping = 0;
  /** Every tick up to this one has been handled; the near lists hold the next NEAR_TICKS ticks. */
  #handled = 0;
  /** The last tick of the running sweep; deadlines that are armed meanwhile come later. */
  #sweepEnd = -1;
  /** When the far list is searched. None of its deadlines is due before. */
  #farTick = Number.POSITIVE_INFINITY;
  #timer: RuntimeTimer;
  /** The tick for which `#timer` is set; infinite without one. */
  #wakeTick = Number.POSITIVE_INFINITY;
  /** A sweep runs, or waits until the sockets were polled. It sets the timer when it is done. */
  #sweeping = false;
  /** How often the timer was stopped because the wheel was empty, since it last fired. */
  #stops = 0;
  readonly #fire = (): void => this.#onTimer();
  readonly #sweepLate = (): void => this.#sweep();

  /** How many timers of the runtime were started, and how many fired, since the process began. For tests. */
  timersStarted = 0;
  wakeUps = 0;
  /** Sweeps that waited for a poll because the timer had fired late. For tests. */
  lateSweeps = 0;

  /** The number of armed deadlines. */
  get size(): number {
    return this.#count;
  }

  /** Arms `deadline` to expire in `ms` milliseconds: up to one tick late, never early. Re-arms an armed one. */
  arm(deadline: WheelEntry, ms: number): void {
    if (deadline.list !== -1) this.#remove(deadline);
    this.#count++;
    if (!deadline.quiet) this.#keep(1);
    const time = now();
    const tick = this.#place(deadline, ms, time);
    if (!this.#sweeping) this.#wakeAt(tick, time);
  }

  /**
   * The same, except that the time begins at the end of this turn, when the caller calls `turnEnds`: a turn reads the clock
   * once, which costs more than all else here. The deadline is not armed.
   */
  armFromTurnEnd(deadline: WheelEntry, ms: number): void {
    deadline.tick = ms;
    this.#link(deadline, NEW);
    this.#count++;
    if (!deadline.quiet) this.#keep(1);
  }

  /** The time of the deadlines that were armed in this turn begins. Returns the time now, if there are any. */
  turnEnds(): number | undefined {
    let deadline = this.#lists[NEW];
    if (deadline === undefined) return;
    this.#lists[NEW] = undefined;
    const time = now();
    let wakeTick = Number.POSITIVE_INFINITY;
    while (deadline !== undefined) {
      const { next }: WheelEntry = deadline;
      deadline.previous = undefined;
      wakeTick = Math.min(wakeTick, this.#place(deadline, deadline.tick, time));
      deadline = next;
    }
    // Last, because a timer of the runtime may run a hook of the application, which may cancel any of them.
    if (!this.#sweeping) this.#wakeAt(wakeTick, time);
    return time;
  }

  /** Returns the tick for which the runtime's timer has to be set. */
  #place(deadline: WheelEntry, ms: number, time: number): number {
    const currentTick = Math.floor(time / TIMER_TICK_MS);
    // All lists up to this tick are empty, so the near ones begin here.
    if (!this.#sweeping && currentTick < this.#wakeTick) this.#handled = currentTick;
    const earliest = Math.max(this.#handled, this.#sweepEnd) + 1;
    deadline.tick = Math.max(Math.ceil((time + ms) / TIMER_TICK_MS), earliest);
    this.#insert(deadline);
    return deadline.list === FAR ? this.#farTick : deadline.tick;
  }

  /** Disarms. Harmless if it is not armed. */
  cancel(deadline: WheelEntry): void {
    if (deadline.list === -1) return;
    this.#remove(deadline);
    if (this.#count === 0 && !this.#sweeping && this.#timer !== undefined) this.#ranEmpty();
  }

  /** Whether this deadline, armed or not, lets the process end before it is due. */
  setQuiet(deadline: WheelEntry, quiet: boolean): void {
    if (deadline.quiet === quiet) return;
    deadline.quiet = quiet;
    if (deadline.list !== -1) this.#keep(quiet ? -1 : 1);
  }

  /** Counts the deadlines that keep the process alive; the runtime's timer follows the count. */
  #keep(change: 1 | -1): void {
    const kept = this.#keeping > 0;
    this.#keeping += change;
    const keeps = this.#keeping > 0;
    if (keeps !== kept && this.#timer !== undefined) setTimerKeepsAlive(this.#timer, keeps);
  }

  /**
   * Called after something long-lived has ended: if no deadline is armed, it stops the runtime's timer. (Otherwise a
   * timer may run for another tick, see STOPS, which keeps the process alive and which the sanitizers of `Deno.test`
   * call a leak.)
   */
  rest(): void {
    if (this.#count === 0 && !this.#sweeping) this.#stop();
  }

  #insert(deadline: WheelEntry): void {
    let list = FAR;
    if (deadline.tick - this.#handled <= NEAR_TICKS) list = deadline.tick % NEAR_TICKS;
    else if (this.#lists[FAR] === undefined) this.#farTick = this.#handled + NEAR_TICKS;
    this.#link(deadline, list);
  }

  #link(deadline: WheelEntry, list: number): void {
    const head = this.#lists[list];
    deadline.list = list;
    deadline.next = head;
    if (head !== undefined) head.previous = deadline;
    this.#lists[list] = deadline;
  }

  #unlink(deadline: WheelEntry): void {
    const { previous, next } = deadline;
    if (previous !== undefined) previous.next = next;
    else this.#lists[deadline.list] = next;
    if (next !== undefined) next.previous = previous;
    deadline.previous = undefined;
    deadline.next = undefined;
    deadline.list = -1;
  }

  #remove(deadline: WheelEntry): void {
    this.#unlink(deadline);
    this.#count--;
    if (!deadline.quiet) this.#keep(-1);
  }

  // ---- The runtime's timer ------------------------------------------------------------------------------

  /** Sets the timer for `tick` unless it is set for an earlier one. */
  #wakeAt(tick: number, time: number): void {
    if (tick >= this.#wakeTick) return;
    this.#stop();
    this.#wakeTick = tick;
    this.timersStarted++;
    this.#timer = startTimer(this.#fire, Math.max(1, Math.ceil(tick * TIMER_TICK_MS - time)));
    // An empty wheel's timer runs only until the end of its tick (see STOPS); two calls per tick would cost more.
    if (this.#keeping === 0 && this.#count > 0) setTimerKeepsAlive(this.#timer, false);
  }

  #stop(): void {
    if (this.#timer !== undefined) stopTimer(this.#timer);
    this.#timer = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
  }

  /**
   * The last deadline was cancelled. The timer is stopped at once, so that the process can end. But a sequence of short
   * calls empties the wheel again and again, and must not start and stop a timer for each. So after some stops the
   * timer runs until the end of the tick.
   */
  #ranEmpty(): void {
    if (this.#stops < STOPS) {
      this.#stops++;
      this.#stop();
      return;
    }
    const time = now();
    this.#wakeAt(Math.floor(time / TIMER_TICK_MS) + 1, time);
  }

  #onTimer(): void {
    this.wakeUps++;
    const lateTicks = Math.floor(now() / TIMER_TICK_MS) - this.#wakeTick;
    this.#timer = undefined;
    this.#stops = 0;
    this.#sweeping = true;
    if (lateTicks <= LATE_TICKS || this.#count === 0) {
      this.#sweep();
      return;
    }
    this.lateSweeps++;
    yieldToEventLoop(() => yieldToEventLoop(this.#sweepLate));
  }

  // ---- What is due --------------------------------------------------------------------------------------

  /** Expires due deadlines, then sets the timer again, whatever `expire` throws. */
  #sweep(): void {
    const end = Math.floor(now() / TIMER_TICK_MS);
    try {
      this.#expireUpTo(end);
    } finally {
      this.#sweepEnd = -1;
      this.#sweeping = false;
      this.#wakeTick = Number.POSITIVE_INFINITY;
      if (this.#count > 0) this.#wakeAt(this.#nextTick(), now());
    }
  }

  #expireUpTo(end: number): void {
    this.#sweepEnd = end;
    // After a long stall every list is visited once, which covers all missed ticks.
    this.#handled = Math.max(this.#handled, end - NEAR_TICKS);
    if (this.#farTick <= end) this.#bringNear();
    while (this.#handled < end) {
      const near = (this.#handled + 1) % NEAR_TICKS;
      // Deadlines that `expire` arms go to lists that this sweep does not visit, so each list gets empty.
      for (let due = this.#lists[near]; due !== undefined; due = this.#lists[near]) {
        this.#remove(due);
        due.expire();
      }
      this.#handled++;
    }
  }

  /** Moves the deadlines of the far list whose ticks are now in the near lists. */
  #bringNear(): void {
    let deadline = this.#lists[FAR];
    this.#lists[FAR] = undefined;
    this.#farTick = Number.POSITIVE_INFINITY;
    while (deadline !== undefined) {
      const { next }: WheelEntry = deadline;
      deadline.previous = undefined;
      deadline.tick = Math.max(deadline.tick, this.#handled + 1);
      this.#insert(deadline);
      deadline = next;
    }
  }

  /** The tick of the first near list that is not empty, or of the next search of the far list. */
  #nextTick(): number {
    const end = Math.min(this.#handled + NEAR_TICKS, this.#farTick);
    for (let tick = this.#handled + 1; tick <= end; tick++) {
      if (this.#lists[tick % NEAR_TICKS] !== undefined) return tick;
    }
    return this.#farTick;
  }
}

/** The process's wheel. */
export const timers = new TimerWheel();
