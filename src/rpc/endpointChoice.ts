// Chooses the endpoint of a call: it picks two at random, by weight, and takes the less loaded one.

import type { Target } from "./endpointTargets.ts";

export interface Weighted {
  /** Its share of the calls, above 0. */
  readonly weight: number;
  /** The number of requests that wait for answers, plus other load in the same unit. */
  readonly load: number;
}

/** A list from which members are picked at random by weight. */
export class Choice<Member extends Weighted> {
  readonly members: readonly Member[];
  readonly #random: () => number;
  /** Undefined if all weights are equal. */
  readonly #weights: readonly number[] | undefined;
  readonly #total: number;

  constructor(members: readonly Member[], random: () => number = Math.random) {
    this.members = members;
    this.#random = random;
    const weights = members.map(({ weight }) => weight);
    this.#weights = weights.every((weight) => weight === weights[0]) ? undefined : weights;
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** A random member; undefined if the list is empty. */
  pick(): Member | undefined {
    return this.members[this.#indexBesides(-1)];
  }

  /** Two different members, if there are two. */
  pickTwo(): [Member | undefined, Member | undefined] {
    const first = this.#indexBesides(-1);
    const second = this.members.length > 1 ? this.#indexBesides(first) : first;
    return [this.members[first], this.members[second]];
  }

  /** A random index other than `other`. */
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
    return last; // the sum of fractions may be slightly too large
  }
}

/** The first member, unless the second one is less loaded, each load divided by its weight. */
export function lessLoaded<Member extends Weighted>(
  first: Member | undefined,
  other: Member | undefined,
): Member | undefined {
  if (first === undefined || other === undefined || first === other) return first;
  // With unequal weights the random choice has spread the calls already, so the second member must be less loaded even
  // with this call.
  const isLess =
    first.weight === other.weight
      ? other.load < first.load
      : (other.load + 1) / other.weight <= first.load / first.weight;
  return isLess ? other : first;
}

/** The members with the lowest number. */
export function firstPriority<Member extends { readonly target: Pick<Target, "priority"> }>(
  members: readonly Member[],
): Member[] {
  const lowest = members.reduce((least, { target }) => Math.min(least, target.priority), Infinity);
  return members.filter(({ target }) => target.priority === lowest);
}
