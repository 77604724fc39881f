// Chooses the endpoint of a call: it picks two at random, by weight, and takes the less loaded one.

import type { Target } from "./endpointTargets.ts";

export interface Weighted {
  /** Its share of the calls, above 0. */
  readonly weight: number;
  /** In requests that wait for answers, or as much as those. */
  readonly load: number;
}

/** A list of which any one is picked, with a chance by weight. */
export class Choice<Member extends Weighted> {
  readonly members: readonly Member[];
  readonly #random: () => number;
  /** Undefined where all weights are the same. */
  readonly #weights: readonly number[] | undefined;
  readonly #total: number;

  constructor(members: readonly Member[], random: () => number = Math.random) {
    this.members = members;
    this.#random = random;
    const weights = members.map(({ weight }) => weight);
    this.#weights = weights.every((weight) => weight === weights[0]) ? undefined : weights;
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** Undefined of an empty list. */
  pick(): Member | undefined {
    return this.members[this.#indexBesides(-1)];
  }

  /** Two different ones, as far as there are two. */
  pickTwo(): [Member | undefined, Member | undefined] {
    const first = this.#indexBesides(-1);
    const second = this.members.length > 1 ? this.#indexBesides(first) : first;
    return [this.members[first], this.members[second]];
  }

  /** Any index but `other`. */
  #indexBesides(other: number): number {
    const { length } = this.members;
    if (this.#weights === undefined) {
      if (other < 0) return Math.floor(this.#random() * length);
      return (other + 1 + Math.floor(this.#random() * (length - 1))) % length;
    }
    let left = this.#random() * (this.#total - (this.#weights[other] ?? 0));
    let last = other;
    for (const [i, weight] of this.#weights.entries()) {
      if (i === other) continue;
      last = i;
      left -= weight;
      if (left < 0) break;
    }
    return last; // sums of fractions may be a hair too large
  }
}

/** The first one, unless the other is less loaded, each by its weight. */
export function lessLoaded<Member extends Weighted>(
  first: Member | undefined,
  other: Member | undefined,
): Member | undefined {
  if (first === undefined || other === undefined || first === other) return first;
  // With other weights chance has spread the calls: only who would have less with one call more takes it.
  const isLess =
    first.weight === other.weight
      ? other.load < first.load
      : (other.load + 1) / other.weight <= first.load / first.weight;
  return isLess ? other : first;
}

/** Those with the lowest number. */
export function firstPriority<Member extends { readonly target: Pick<Target, "priority"> }>(
  members: readonly Member[],
): Member[] {
  const lowest = members.reduce((least, { target }) => Math.min(least, target.priority), Infinity);
  return members.filter(({ target }) => target.priority === lowest);
}
