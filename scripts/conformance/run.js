// Plants the faults of faults.js, one at a time, and runs the tests that test/CONFORMANCE.md names for each.

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { bundleOptions, runnerPath, suiteEntries, suitePath } from "../bundleSuites.js";
import { runSuite } from "../runSuite.js";
import { runtimes } from "../runtimes.js";
import { editedSources, staleEdits } from "../sourceEdits.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folderOf = (name) => join(root, "build/conformance", name);

/** A test may take so much longer with a fault than without; then it counts as noticing it. */
const TIMEOUT_FACTOR = 3;
const TIMEOUT_ADDED_MS = 3_000;
/** What goes on with every fault that does not say otherwise: a fault that breaks all shows nothing. */
const control = parseTest("rpc/messages: v2: answers may come in another order than the requests");

/** @typedef {{ suite: string, name: string, text: string }} NamedTest */

/** `suite: name` of CONFORMANCE.md. @returns {NamedTest} */
function parseTest(text) {
  const at = text.indexOf(": ");
  return { suite: text.slice(0, at), name: text.slice(at + 2), text };
}

/** What test/CONFORMANCE.md says, by the reader that checks it. */
export async function readConformance() {
  const outfile = join(folderOf("claims"), "conformance.mjs");
  await build({
    absWorkingDir: root,
    entryPoints: ["test/support/conformance.ts"],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "warning",
  });
  const { readClaims } = await import(pathToFileURL(outfile).href);
  return readClaims(readFileSync(join(root, "test/CONFORMANCE.md"), "utf8"));
}

/**
 * The tests of the one sentence that a fault is about.
 *
 * @param {import("./faults.js").Fault} fault
 * @param {{ section: string, sentence: string, tests: string[] }[]} claims
 * @returns {NamedTest[]}
 */
export function testsOf({ section, rule }, claims) {
  const meant = claims.filter((claim) => claim.section === section && claim.sentence.startsWith(rule));
  if (meant.length !== 1) throw new Error(`${meant.length} sentences of "${section}" begin with "${rule}"`);
  if (meant[0].tests.length === 0) throw new Error(`no test is named for "${rule}"`);
  return meant[0].tests.map(parseTest);
}

/**
 * What is wrong with the edits of a fault, in words.
 *
 * @param {import("./faults.js").Fault} fault
 * @returns {string[]}
 */
export const editFaults = ({ edits }) => staleEdits(edits);

async function bundleWith(edits, suites, folder) {
  rmSync(folder, { recursive: true, force: true });
  await build({
    ...bundleOptions(suiteEntries(suites), folder),
    sourcemap: false,
    plugins: [editedSources(edits)],
  });
}

/** Runs tests of one suite in the machine's Node. `mostMs`: no test gets more time; `bails`: the first failure ends it. */
async function runTests(folder, suite, names, { mostMs, bails = false } = {}) {
  const runtime = runtimes().find(({ roles }) => roles.includes("node"));
  if (mostMs === undefined)
    return runSuite(runtime, suitePath(suite, folder), { runner: runnerPath(folder), names });
  return runSuite(runtime, suitePath(suite, folder), {
    runner: runnerPath(folder),
    names,
    timeoutMs: (names.length + 1) * mostMs + TIMEOUT_ADDED_MS,
    env: { SEALWIRE_TEST_TIMEOUT_MS: String(mostMs), ...(bails ? { SEALWIRE_TEST_BAIL: "1" } : {}) },
  });
}

const bySuite = (tests) => {
  const groups = new Map();
  for (const test of tests) groups.set(test.suite, [...(groups.get(test.suite) ?? []), test]);
  return groups;
};

/** Whether a case is one of this test, whose name has … for any text. */
function isOf({ name }, test) {
  const pattern = test.name.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(name);
}

/**
 * Runs tests as they are. How long each takes, by its text, and what fails or does not run.
 *
 * @param {NamedTest[]} tests
 * @param {(text: string) => void} [log]
 */
export async function baseline(tests, log = () => {}) {
  const groups = bySuite([...tests, control]);
  const folder = folderOf("as-it-is");
  await bundleWith([], [...groups.keys()], folder);
  const broken = [];
  const took = new Map();
  for (const [suite, own] of groups) {
    const names = own.map(({ name }) => name);
    const cases = await runTests(folder, suite, names);
    log(`${suite}: ${cases.filter(({ status }) => status === "pass").length} pass as it is`);
    for (const { name, status, error } of cases)
      if (status === "fail") broken.push(`${suite}: ${name}: ${error}`);
    for (const test of own) {
      const instances = cases.filter((result) => isOf(result, test) && result.status === "pass");
      if (instances.length === 0) broken.push(`${test.text}: did not run`);
      took.set(
        test.text,
        instances.reduce((most, { ms }) => Math.max(most, ms), 0),
      );
    }
  }
  return { broken, took };
}

const hasFailed = ({ status }) => status === "fail";

/** How long these tests may take with a fault. */
const mostMsOf = (tests, took) =>
  TIMEOUT_FACTOR * Math.max(...tests.map(({ text }) => took.get(text) ?? 0)) + TIMEOUT_ADDED_MS;

/** Those of one suite's tests that fail up to the first one, or all that do. */
async function failing(folder, suite, tests, took, all) {
  const names = tests.map(({ name }) => name);
  if (!all || tests.length === 1) {
    const cases = await runTests(folder, suite, names, { mostMs: mostMsOf(tests, took), bails: true });
    const failed = cases.find(hasFailed);
    if (failed === undefined) return [];
    // What fails beside them, such as a suite that can't be loaded, is of the first.
    return [tests.find((test) => isOf(failed, test)) ?? tests[0]];
  }
  const found = [];
  for (const test of tests) found.push(...(await failing(folder, suite, [test], took, false)));
  return found;
}

/**
 * Plants a fault, and runs the tests of its sentence, up to the first that notices it.
 *
 * @param {import("./faults.js").Fault} fault
 * @param {NamedTest[]} tests
 * @param {string} id of its folder
 * @param {ReadonlyMap<string, number>} took how long each takes without a fault, by its text
 * @param {boolean} [all] runs all of them, each in a process of its own
 * @returns {Promise<{ noticed: NamedTest[], missed: NamedTest[], everything: boolean }>} missed: with `all`, or where none
 *   noticed it; everything: the control fails, too
 */
export async function tryFault({ edits }, tests, id, took, all = false) {
  const folder = folderOf(id);
  const groups = bySuite(tests);
  await bundleWith(edits, [...new Set([...groups.keys(), control.suite])], folder);
  const noticed = [];
  for (const [suite, own] of groups) {
    noticed.push(...(await failing(folder, suite, own, took, all)));
    if (noticed.length > 0 && !all) break;
  }
  const missed = all || noticed.length === 0 ? tests.filter((test) => !noticed.includes(test)) : [];
  const everything = (await failing(folder, control.suite, [control], took, false)).length > 0;
  rmSync(folder, { recursive: true, force: true });
  return { noticed, missed, everything };
}
