// Packs the builds of the crypto core into text.

import { newModels, putStep, START, stateAfter, Writer } from "./decisions.js";
import { matchesOf, parse } from "./parse.js";

const ROUNDS = 3;

/**
 * The text that assembly/unpack.ts makes these bytes of.
 *
 * @param {Uint8Array} bytes
 * @returns {string} ASCII without `"` and `\`
 */
export function packed(bytes) {
  const matches = matchesOf(bytes);
  let models = newModels();
  let shortest;
  // Each round takes the prices that the one before it ended with.
  for (let round = 0; round < ROUNDS; round++) {
    const writer = new Writer();
    let before = START;
    let at = 0;
    for (const step of parse(bytes, matches, models)) {
      putStep(writer, bytes, at, before, step);
      before = stateAfter(before, step);
      at += step.length;
    }
    models = writer.models;
    const text = writer.text();
    if (shortest === undefined || text.length < shortest.length) shortest = text;
  }
  return shortest;
}
