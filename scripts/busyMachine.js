// Builds the library as a busy machine runs it: every handshake waits for its turn, and every turn is over whenever its
// clock is read. A turn is a time, so on a machine that is not busy the tests hardly see what happens between two turns
// (npm run suite -- NAME --busy). Code with a clock of its own, as the tests of the turns have, keeps it.
import { readFileSync } from "node:fs";

/** @type {{ file: string, find: string, replace: string }[]} */
export const busyEdits = [
  {
    file: "/src/rpc/handshakeTurns.ts",
    find: "  get isFree(): boolean {\n",
    replace: "  get isFree(): boolean {\n    if (this.#time === now) return false;\n",
  },
  {
    file: "/src/rpc/turnClock.ts",
    find: "this.isOver = this.#ms > this.#turnMs;",
    replace: "this.isOver = this.#time === now || this.#ms > this.#turnMs;",
  },
  {
    file: "/src/rpc/roundRobin.ts",
    find: "while (next < here && this.#time() < until);",
    replace: "while (next < here && this.#time !== now && this.#time() < until);",
  },
];

/** @type {import("esbuild").Plugin} */
export const busyMachine = {
  name: "busy machine",
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/rpc\/.*\.ts$/ }, ({ path }) => {
      const mine = busyEdits.filter(({ file }) => path.endsWith(file));
      if (mine.length === 0) return undefined;
      let contents = readFileSync(path, "utf8");
      for (const { file, find, replace } of mine) {
        if (contents.split(find).length !== 2) throw new Error(`${file} does not hold ${find} once`);
        contents = contents.replace(find, () => replace);
      }
      return { contents, loader: "ts" };
    });
  },
};
