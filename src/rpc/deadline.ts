// What the timer wheel (timers.ts) holds.

/** What the wheel knows of an object with a deadline. The object is in the wheel at most once. */
export interface WheelEntry {
  /** Internal to the wheel: neighbours in the list, which list (-1: none), and the tick at which to fire. */
  previous: WheelEntry | undefined;
  next: WheelEntry | undefined;
  list: number;
  tick: number;
  /** It does not keep the process alive; set by `TimerWheel.setQuiet`, or before it is first armed. */
  quiet: boolean;
  /** Called once when the time has come, and never after `cancel`. */
  expire(): void;
}

/** An object with a deadline: extend it, or give it a callback. */
export class Deadline implements WheelEntry {
  previous: WheelEntry | undefined = undefined;
  next: WheelEntry | undefined = undefined;
  list = -1;
  tick = -1;
  quiet = false;

  expire(): void {}

  get armed(): boolean {
    return this.list !== -1;
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
