// Orders endpoints for dialling.

import type { Target } from "./endpointTargets.ts";

/**
 * The order of attempts (RFC 8305 section 4): one priority after the other. Within a priority the address families take
 * turns, beginning with the family of the first target. Within a family the order is random by weight, so that clients
 * spread over the servers.
 */
export function attemptOrder(targets: readonly Target[], random: () => number = Math.random): Target[] {
  const priorities = new Map<number, Target[]>();
  for (const target of targets) {
    const same = priorities.get(target.priority);
    if (same === undefined) priorities.set(target.priority, [target]);
    else same.push(target);
  }
  return [...priorities.entries()].sort(([a], [b]) => a - b).flatMap(([, same]) => interleave(same, random));
}

function interleave(targets: readonly Target[], random: () => number): Target[] {
  const families = new Map<number, { target: Target; rank: number }[]>();
  for (const target of targets) {
    // Efraimidis and Spirakis 2006: in this order each target is drawn with a probability by its weight.
    const ranked = { target, rank: Math.log(1 - random()) / target.weight };
    const sameFamily = families.get(target.family);
    if (sameFamily === undefined) families.set(target.family, [ranked]);
    else sameFamily.push(ranked);
  }
  for (const family of families.values()) family.sort((a, b) => b.rank - a.rank);
  const ordered: Target[] = [];
  for (let i = 0; ordered.length < targets.length; i++) {
    for (const family of families.values()) {
      const next = family[i];
      if (next !== undefined) ordered.push(next.target);
    }
  }
  return ordered;
}
