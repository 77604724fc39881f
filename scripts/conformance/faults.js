// One fault in the library for each of many rules of docs/PROTOCOL.md, as an exact edit of a source. The tests that
// test/CONFORMANCE.md names for the rule's sentence have to notice it (scripts/conformance.js).

import { fieldFaults } from "./fieldFaults.js";
import { handshakeFaults } from "./handshakeFaults.js";
import { requestFaults } from "./requestFaults.js";
import { streamFaults } from "./streamFaults.js";
import { typedFaults } from "./typedFaults.js";
import { wireFaults } from "./wireFaults.js";

/**
 * By the heading of the sentence, faults as: the beginning of the sentence, what is wrong, then for each edit the file, the
 * text that stands in it once, and what replaces that.
 *
 * @typedef {Record<string, string[][]>} FaultTable
 * @typedef {{ file: string, find: string, replace: string }} Edit
 * @typedef {{ section: string, rule: string, text: string, edits: Edit[] }} Fault
 */

/** @param {string[]} parts @returns {Edit[]} */
function editsOf(parts) {
  const edits = [];
  for (let i = 0; i < parts.length; i += 3) {
    const [file, find, replace] = parts.slice(i, i + 3);
    edits.push({ file, find, replace });
  }
  return edits;
}

/** @type {Fault[]} */
export const faults = [
  wireFaults,
  handshakeFaults,
  fieldFaults,
  requestFaults,
  streamFaults,
  typedFaults,
].flatMap((table) =>
  Object.entries(table).flatMap(([section, rows]) =>
    rows.map(([rule, text, ...edits]) => ({ section, rule, text, edits: editsOf(edits) })),
  ),
);
