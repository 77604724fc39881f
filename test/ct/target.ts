// What a target of `npm run ct` is, and the two classes that most of them have.

export interface Target {
  readonly name: string;
  /** Calls per measurement, so that one is longer than the clock's step. */
  readonly calls: number;
  /** An input of a class, made before anything is timed; secrets only differ. */
  prepare(which: 0 | 1): Uint8Array;
  /** Takes the input, which lies at the same address each time. */
  run(input: Uint8Array): unknown;
  /** A leak that was planted: the test has to find it. */
  readonly leaks?: boolean;
}

export const random = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

/**
 * Class 0: these bytes; class 1: random ones of the same length. Each input has memory of its own: one array for all of class
 * 0 would stay in the caches, and long inputs of class 1 would drive out what the call needs.
 */
export const fixedOrRandom = (fixed: Uint8Array) => (which: 0 | 1) =>
  which === 0 ? new Uint8Array(fixed) : random(fixed.length);
