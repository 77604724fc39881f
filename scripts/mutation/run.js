// Runs the mutants of one file against the suites that reach them, in the machine's Node.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleOptions, runnerPath } from "../bundleSuites.js";
import { runSuite } from "../runSuite.js";
import { instrumented, mutantsOf } from "./mutants.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const RUNNER = "test/support/runner.ts";

/** A mutant may take so much longer than the suite without one, then it counts as noticed. */
const TIMEOUT_FACTOR = 3;
const TIMEOUT_ADDED_MS = 5_000;
/** For the run without a mutant. */
const BASELINE_TIMEOUT_MS = 120_000;

/** Gives esbuild another text for one file. */
const withText = (path, contents) => ({
  name: "with mutants",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, (args) => (args.path === path ? { contents, loader: "ts" } : undefined));
  },
});

/** Where the suites for a file are bundled into: one folder per file, so that runs do not meet. */
const outputFolder = (file) => join(root, "build/mutation", file.replace(/\W+/g, "-"));

/** Bundles the suites with the instrumented file; returns those whose bundle has it. */
async function bundleWith(file, contents, entries) {
  rmSync(outputFolder(file), { recursive: true, force: true });
  const { metafile } = await build({
    ...bundleOptions([RUNNER, ...entries], outputFolder(file)),
    plugins: [withText(join(root, file), contents)],
    metafile: true,
  });
  const reaches = (output, seen = new Set()) => {
    if (seen.has(output)) return false;
    seen.add(output);
    const { inputs, imports } = metafile.outputs[output];
    return file in inputs || imports.some(({ path, external }) => external !== true && reaches(path, seen));
  };
  const outputOf = Object.fromEntries(
    Object.entries(metafile.outputs).map(([path, { entryPoint }]) => [entryPoint, path]),
  );
  return entries
    .filter((entry) => reaches(outputOf[entry]))
    .map((entry) => ({ entry, path: join(root, outputOf[entry]), runner: runnerPath(outputFolder(file)) }));
}

const failures = (cases) => cases.filter(({ status }) => status === "fail");

/** Runs a suite as it is: how long it takes, and which mutants it comes by. */
async function baseline(runtime, suite, folder, maxSuiteMs) {
  const { entry, path, runner } = suite;
  const reachedPath = join(folder, "reached");
  rmSync(reachedPath, { force: true });
  const startMs = performance.now();
  const cases = await runSuite(runtime, path, {
    runner,
    timeoutMs: Math.min(BASELINE_TIMEOUT_MS, maxSuiteMs),
    env: { SEALWIRE_MUTANTS_REACHED: reachedPath },
  });
  const ms = performance.now() - startMs;
  if (ms >= maxSuiteMs) return { ...suite, ms, tooSlow: true };
  if (failures(cases).length > 0) {
    throw new Error(
      `${entry} fails without a mutant: ${failures(cases)[0].name}: ${failures(cases)[0].error}`,
    );
  }
  return { ...suite, ms, reached: readFileSync(reachedPath) };
}

/** Runs one mutant: "killed", "timed out" or "survived", by the first suite that notices it. */
async function tryMutant(runtime, mutant, suites, timeoutAddedMs) {
  for (const { entry, path, runner, ms } of suites) {
    const timeoutMs = TIMEOUT_FACTOR * ms + timeoutAddedMs;
    const startMs = performance.now();
    const cases = await runSuite(runtime, path, {
      runner,
      timeoutMs,
      env: { SEALWIRE_MUTANT: String(mutant.id), SEALWIRE_TEST_BAIL: "1" },
    });
    if (failures(cases).length > 0) {
      const outcome = performance.now() - startMs >= timeoutMs ? "timed out" : "killed";
      return { outcome, by: entry, test: failures(cases)[0].name };
    }
  }
  return { outcome: suites.length === 0 ? "unreached" : "survived" };
}

/**
 * Runs the mutants of a file.
 *
 * @param {object} options
 * @param {string} options.file relative to the repository
 * @param {string[]} options.entries suites' sources, relative to the repository, the likeliest first
 * @param {import("../runtimes.js").Runtime} options.runtime
 * @param {(mutant: import("./mutants.js").Mutant) => boolean} [options.only] runs these mutants
 * @param {number} [options.maxMutants] runs at most so many, spread over the file
 * @param {number} [options.maxSuiteMs] leaves out suites that take longer
 * @param {number} [options.jobs] processes at a time
 * @param {number} [options.timeoutAddedMs] a mutant may take three times as long as the suite without one, and this
 * @param {(text: string) => void} [options.log]
 */
export async function runMutants({
  file,
  entries,
  runtime,
  only = () => true,
  maxMutants = Number.POSITIVE_INFINITY,
  maxSuiteMs = 20_000,
  jobs = 1,
  timeoutAddedMs = TIMEOUT_ADDED_MS,
  log = () => {},
}) {
  const text = readFileSync(join(root, file), "utf8");
  const all = mutantsOf(text);
  const wanted = all.filter(only);
  const step = Math.max(1, wanted.length / maxMutants);
  const mutants = wanted.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const covering = await bundleWith(file, instrumented(text, all), entries);
  const folder = mkdtempSync(join(tmpdir(), "sealwire-mutation-"));
  try {
    const suites = [];
    for (const candidate of covering) {
      const suite = await baseline(runtime, candidate, folder, maxSuiteMs);
      if (suite.tooSlow) log(`left out: ${suite.entry} takes more than ${maxSuiteMs} ms`);
      else if (suite.reached.some((flag) => flag === 1)) suites.push(suite);
    }
    // The suite that is named after the file knows most about it; then the quick ones.
    suites.sort((a, b) => entries.indexOf(a.entry) - entries.indexOf(b.entry));
    for (const { entry, ms, reached } of suites) {
      log(
        `${entry}: ${Math.round(ms)} ms, reaches ${reached.reduce((sum, flag) => sum + flag, 0)} of ${all.length}`,
      );
    }
    const results = [];
    const queue = [...mutants];
    const work = async () => {
      for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
        const { id } = mutant;
        const result = await tryMutant(
          runtime,
          mutant,
          suites.filter(({ reached }) => reached[id] === 1),
          timeoutAddedMs,
        );
        results.push({ ...mutant, ...result });
        log(`[${results.length}/${mutants.length}] ${describeMutant(file, mutant)}: ${result.outcome}`);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
    return results.sort((a, b) => a.id - b.id);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A mutant for people: file, line and change. */
export function describeMutant(file, { line, change }) {
  return `${file}:${line}: ${change}`;
}
