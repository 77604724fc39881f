// What a test opens beside servers and clients is closed after it, before the suite looks for what is left.

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
