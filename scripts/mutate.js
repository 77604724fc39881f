// npm run mutate -- FILE [--suite NAME,…] [--lines 10-40] [--max 50] [--max-suite-ms 20000] [--jobs 1]
//
// Puts small faults into one file of src/, one at a time (a boundary, a condition, a constant, a boolean, a statement
// left out), runs the suites that reach it in the machine's Node, and lists the faults that no test notices. Every such
// survivor needs a test, or a reason in test/survivors.json: `{ FILE: [{ line, change, reason }] }` with the trimmed
// source line and the change as this program prints it, so that lines may move.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { suiteNames } from "./bundleSuites.js";
import { describeMutant, runMutants } from "./mutation/run.js";
import { runtimes } from "./runtimes.js";

const root = fileURLToPath(new URL("..", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    suite: { type: "string" },
    lines: { type: "string" },
    max: { type: "string", default: "1000" },
    "max-suite-ms": { type: "string", default: "20000" },
    jobs: { type: "string", default: "1" },
  },
});

/** Suites by how near their names are to the file's: same folder and name, same name, same folder, the rest. */
function orderedSuites(file, names) {
  const [, folder, name] = /^src\/(?:(.*)\/)?([^/]+)\.ts$/.exec(file) ?? [];
  const layer = folder?.split("/")[0];
  const distance = (suite) => {
    if (suite === `${folder}/${name}` || suite === `${layer}/${name}`) return 0;
    if (suite.toLowerCase().includes(name?.toLowerCase())) return 1;
    return suite.startsWith(`${layer}/`) ? 2 : 3;
  };
  return [...names].sort((a, b) => distance(a) - distance(b));
}

const [file] = positionals;
if (positionals.length !== 1 || !existsSync(`${root}/${file}`)) {
  console.error(
    "usage: npm run mutate -- src/FOLDER/FILE.ts [--suite NAME,…] [--lines FROM-TO] [--max COUNT]",
  );
  process.exit(2);
}
const asked = values.suite?.split(",");
const names = suiteNames().filter((name) => asked === undefined || asked.some((part) => name.includes(part)));
const [from, to] = values.lines?.split("-").map(Number) ?? [1, Number.POSITIVE_INFINITY];

const startMs = performance.now();
const results = await runMutants({
  file,
  entries: orderedSuites(file, names).map((name) => `test/suites/${name}.ts`),
  runtime: runtimes().find(({ roles }) => roles.includes("node")),
  only: ({ line }) => line >= from && line <= (to ?? from),
  maxMutants: Number(values.max),
  maxSuiteMs: Number(values["max-suite-ms"]),
  jobs: Number(values.jobs),
  log: (text) => console.log(text),
});

const sourceLines = readFileSync(`${root}/${file}`, "utf8").split("\n");
const reasons = JSON.parse(readFileSync(`${root}/test/survivors.json`, "utf8"))[file] ?? [];
const reasonFor = (mutant) =>
  reasons.find(
    ({ line, change }) => line === sourceLines[mutant.line - 1].trim() && change === mutant.change,
  );

const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
const survivors = results.filter(({ outcome }) => outcome === "survived" || outcome === "unreached");
const unexplained = survivors.filter((mutant) => reasonFor(mutant) === undefined);
const killed = results.filter((mutant) => !survivors.includes(mutant) && reasonFor(mutant) !== undefined);

console.log(
  `\n${file}: ${results.length} mutants in ${Math.round((performance.now() - startMs) / 1_000)} s: ` +
    `${count("killed")} killed, ${count("timed out")} timed out, ${count("unreached")} reached by no suite, ` +
    `${survivors.length - unexplained.length} survive with a reason, ${unexplained.length} without`,
);
for (const mutant of unexplained) {
  console.log(
    `${describeMutant(file, mutant)}${mutant.outcome === "unreached" ? " (no suite comes by)" : ""}`,
  );
}
for (const mutant of killed)
  console.log(`${describeMutant(file, mutant)}: has a reason, but a test notices it`);
process.exitCode = unexplained.length + killed.length === 0 ? 0 : 1;
