// The sources of the entry points whose docstrings are the reference: all that package.json exports, except the
// runtimes' own entries, which export the same as the root.
import { readFileSync } from "node:fs";

const { exports } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const same = ["./node", "./bun", "./deno"];

export const referenceEntries = Object.keys(exports)
  .filter((path) => !/\.(wasm|json)$/.test(path) && !same.includes(path))
  .map((path) => `src/${path === "." ? "index" : path.slice(2)}.ts`);
