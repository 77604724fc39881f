// Builds the library as a busy machine runs it: every handshake waits for its turn, and every turn is over whenever its
// clock is read. A turn is a time, so on a machine that is not busy the tests hardly see what happens between two turns
// (npm run suite -- NAME --busy). Code with a clock of its own, as the tests of the turns have, keeps it.
import { editedSources } from "./sourceEdits.js";

/** @type {import("./sourceEdits.js").Edit[]} */
export const busyEdits = [
  {
    file: "src/rpc/handshakeTurns.ts",
    find: "  get isFree(): boolean {\n",
    replace: "  get isFree(): boolean {\n    if (this.#time === now) return false;\n",
  },
  {
    file: "src/rpc/turnClock.ts",
    find: "this.isOver = this.#ms > this.#turnMs;",
    replace: "this.isOver = this.#time === now || this.#ms > this.#turnMs;",
  },
  {
    file: "src/rpc/roundRobin.ts",
    find: "while (next < here && this.#time() < until);",
    replace: "while (next < here && this.#time !== now && this.#time() < until);",
  },
];

export const busyMachine = editedSources(busyEdits);
