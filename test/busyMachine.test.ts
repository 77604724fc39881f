// Suites as a busy machine runs the library (scripts/busyMachine.js): their tests must not depend on how much a server
// does within one turn, and the library must lose nothing between two. All other suites run so with
// `npm run suite -- --busy`.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { bundleSuites, runnerPath, suiteNames, suitePath } from "../scripts/bundleSuites.js";
import { busyEdits, busyMachine } from "../scripts/busyMachine.js";
import { runSuites } from "../scripts/runSuite.js";
import { runtimes } from "../scripts/runtimes.js";
import { isInTurn } from "../scripts/shares.js";
import { staleEdits } from "../scripts/sourceEdits.js";

const folder = fileURLToPath(new URL("../build/busy", import.meta.url));
/** Those in which peers do several things at once; each commit runs every other one. */
const chosen = [
  ...suiteNames().filter((name) => name.startsWith("hostile/")),
  "rpc/admission",
  "rpc/credit",
  "rpc/handlers",
  "rpc/interleavings",
  "rpc/proof",
  "rpc/streams",
].filter((_, place) => isInTurn(place, 2));

test("what turns are made of is edited where a turn decides, and nowhere else", () => {
  expect(staleEdits(busyEdits)).toEqual([]);
});

test("suites pass although every turn is over at once", { timeout: 300_000 }, async () => {
  const [node] = runtimes();
  await bundleSuites(chosen, { folder, plugins: [busyMachine] });
  const paths = chosen.map((name) => suitePath(name, folder));
  const results = await runSuites(node!, paths, { runner: runnerPath(folder) });
  for (const [i, { cases }] of results.entries()) {
    const failed = cases.filter(({ status }) => status === "fail");
    expect(failed.map(({ name, error }) => `${chosen[i]}: ${name}: ${error}`)).toEqual([]);
    expect(cases.some(({ status }) => status === "pass")).toBe(true);
  }
});
