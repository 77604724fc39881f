// Tests of which each commit tries a part, because they start processes and find the same almost everywhere.

import { type TestOptions, test } from "vitest";
import { isInTurn, SHARES, triesTest } from "../../scripts/shares.js";
import { skipTitle } from "./skipTitle.ts";

type Run = () => unknown;
type AddTest = (name: string, ...rest: [Run] | [TestOptions, Run]) => void;

/**
 * Adds a file's tests one by one, each at the next place; those that are not tried are skipped.
 *
 * @param why why it is skipped
 */
export function testsInTurn(isTried: (place: number) => boolean, why: string): AddTest {
  let place = 0;
  return (name, ...rest) => {
    if (!isTried(place++)) test.skip(skipTitle(name, why));
    else if (rest.length === 1) test(name, rest[0]);
    else test(name, rest[0], rest[1]);
  };
}

/** The same for tests that the machine's Node tries all, and each other runtime a share. `what`: what they are, in words. */
export function testsOfRole(role: string, what: string): AddTest {
  return testsInTurn((place) => triesTest(role, place), `${role} tries 1 in ${SHARES} of ${what}`);
}

/** The same for faults that are planted to be found. */
export function plantedInTurn(): AddTest {
  return testsInTurn((place) => isInTurn(place, 2), "1 in 2 of the planted faults, the commit decides which");
}
