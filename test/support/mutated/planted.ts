// test/mutate.test.ts mutates this file. The suite beside it tests everything here, except the two lines that say so.

export function signOf(value: number): number {
  if (value < 0) return -1;
  return value === 0 ? 0 : 1;
}

export class Total {
  sum = 0;
  calls: number | undefined;

  add(value: number): number {
    this.calls = (this.calls ?? 0) + 1; // planted: no test looks at it
    this.sum += value;
    return this.sum;
  }

  isEmpty(): boolean {
    return this.calls === undefined; // planted: no test calls it
  }
}

/** Runs for ever where its step is lost. */
export function countDown(from: number): string {
  let text = "";
  let left = from;
  while (left !== 0) {
    text += left;
    left -= 1;
  }
  return text;
}
