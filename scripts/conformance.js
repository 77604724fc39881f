// npm run conformance -- [TEXT…] [--all] [--jobs 1]
//
// Plants one fault at a time against a rule of docs/PROTOCOL.md, and checks that a test fails which test/CONFORMANCE.md
// names for the rule's sentence. TEXT selects the faults whose section, sentence or description contain one of the
// texts. The exit code is 1 if a fault is not noticed, or if a test fails without a fault. `--all` runs all named tests
// for each fault, and lists those that noticed none of their sentence's faults: such a test tests another part of the
// sentence, or no part of it.
import { parseArgs } from "node:util";
import { faults } from "./conformance/faults.js";
import { baseline, editFaults, readConformance, testsOf, tryFault } from "./conformance/run.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: "boolean", default: false }, jobs: { type: "string", default: "1" } },
});

const startMs = performance.now();
const claims = await readConformance();
const chosen = faults
  .filter(
    ({ section, rule, text }) =>
      positionals.length === 0 || positionals.some((part) => `${section}: ${rule}: ${text}`.includes(part)),
  )
  .map((fault) => ({ fault, tests: testsOf(fault, claims) }));
if (chosen.length === 0) {
  console.error("no fault is meant");
  process.exit(2);
}
const stale = chosen.flatMap(({ fault }) => editFaults(fault));
for (const text of stale) console.error(text);
if (stale.length > 0) process.exit(1);

const unique = [...new Map(chosen.flatMap(({ tests }) => tests.map((test) => [test.text, test]))).values()];
const { broken, took } = await baseline(unique, (text) => console.log(text));
for (const text of broken) console.error(`fails without a fault: ${text}`);

const results = [];
const queue = chosen.map((entry, i) => ({ ...entry, id: `fault-${i}` }));
async function work() {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { fault, tests, id } = next;
    const beganMs = performance.now();
    const result = { fault, ...(await tryFault(fault, tests, id, took, values.all)) };
    const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
    results.push(result);
    const { noticed, missed, everything } = result;
    const outcome =
      noticed.length === 0 ? "NOT NOTICED" : everything ? "noticed, with everything else" : "noticed";
    console.log(
      `[${results.length}/${chosen.length}] ${fault.section}: ${fault.rule}: ${fault.text}: ${outcome} (${seconds} s)`,
    );
    for (const { text } of missed) console.log(`    not by ${text}`);
  }
}
await Promise.all(Array.from({ length: Number(values.jobs) }, work));

const unnoticed = results.filter(({ noticed }) => noticed.length === 0);
const key = ({ section, rule }, { text }) => `${section}: ${rule}: ${text}`;
const useful = new Set(results.flatMap(({ fault, noticed }) => noticed.map((test) => key(fault, test))));
const idle = new Set(
  results.flatMap(({ fault, missed }) =>
    missed.map((test) => key(fault, test)).filter((one) => !useful.has(one)),
  ),
);
const rules = new Set(results.map(({ fault }) => `${fault.section}: ${fault.rule}`));
console.log(
  `\n${results.length} faults against ${rules.size} sentences in ${Math.round((performance.now() - startMs) / 1_000)} s: ` +
    `${results.length - unnoticed.length} noticed, ${unnoticed.length} not`,
);
for (const { fault } of unnoticed) console.log(`not noticed: ${fault.section}: ${fault.rule}: ${fault.text}`);
for (const { fault, everything } of results)
  if (everything) console.log(`everything fails: ${fault.section}: ${fault.rule}: ${fault.text}`);
if (values.all) for (const text of idle) console.log(`noticed none: ${text}`);
process.exitCode = unnoticed.length + broken.length === 0 ? 0 : 1;
