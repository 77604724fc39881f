// Closes after a test what it opened beside servers and clients, before the suite looks for leftovers.

import { onAfterEveryTest } from "./harness.ts";

interface Closable {
  close(): unknown;
}

const opened: Closable[] = [];
onAfterEveryTest(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

/** Closes it after the test under way, whatever becomes of that. */
export function closedAfterTest<One extends Closable>(one: One): One {
  opened.push(one);
  return one;
}
