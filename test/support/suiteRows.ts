// The rows of one runtime: every suite in it, process by process (scripts/suiteProcesses.js). Four test files stand for
// the four runtimes, so that vitest spreads them over the cores beside the other files. The cases are known only after
// they ran, so they run while vitest collects the file, and each is then reported as a test. `npm test -- rpc`
// (SEALWIRE_TEST_PARTS) runs the suites whose name contains "rpc".

import { afterAll, describe, expect, test } from "vitest";
import { suiteNames, suitePath } from "../../scripts/bundleSuites.js";
import { selectSuites } from "../../scripts/parts.js";
import { runSuites } from "../../scripts/runSuite.js";
import { isNamed, type Runtime, runtimes } from "../../scripts/runtimes.js";
import { shareOf, shareOfSuite, suitesOf, titleOf, whyLeft } from "../../scripts/shares.js";
import { suiteProcesses } from "../../scripts/suiteProcesses.js";

type Cases = Awaited<ReturnType<typeof runSuites>>[number]["cases"];

/**
 * How many processes of a runtime run at a time. Many suites wait most of the time, for sockets and timers: beside one
 * that waits, another computes.
 */
const PROCESSES_AT_A_TIME = 2;

async function runEach(
  runtime: Runtime,
  suites: readonly string[],
  role: string,
): Promise<Map<string, Cases>> {
  const results = new Map<string, Cases>();
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  const groups = suiteProcesses(suites);
  const runGroup = async (group: string[]): Promise<void> => {
    // A process has suites of one folder, which are tried alike.
    const share = shareOfSuite(role, group[0]!);
    const ran = await runSuites(
      runtime,
      group.map((suite) => suitePath(suite)),
      share === undefined ? {} : { env: { SEALWIRE_SHARE: share } },
    );
    for (const [i, { cases, ms, cpuMs }] of ran.entries()) {
      const suite = group[i]!;
      results.set(suite, cases);
      const count = (status: string) => cases.filter((result) => result.status === status).length;
      const took = `${seconds(ms)} s (processor: ${seconds(cpuMs)} s)`;
      const failed = count("fail") === 0 ? "" : `, ${count("fail")} FAILED`;
      process.stderr.write(
        `[${results.size}/${suites.length}] ${suite} · ${runtime.label} (${runtime.version}): ${count("pass")} passed${failed} in ${took}\n`,
      );
    }
  };
  const lane = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) await runGroup(group);
  };
  await Promise.all(Array.from({ length: PROCESSES_AT_A_TIME }, lane));
  // In the order of the suites, whichever came to its end first.
  return new Map(suites.map((suite) => [suite, results.get(suite)!]));
}

/** Registers every case of every suite in the runtime of this role as a test. */
export async function registerSuites(role: "node" | "node-current" | "bun" | "deno"): Promise<void> {
  const runtime = runtimes().find((candidate) => isNamed(candidate, role));
  // test/runtimes.test.ts says why a runtime is missing, and fails where it must not be.
  if (runtime === undefined) return void test.skip(`${role} (skipped: it is not here)`);
  // The machine's Node is the current one: its rows stand in the file of its first role.
  if (runtime.roles[0] !== role) return void test(`${role} is ${runtime.roles[0]}`, () => {});

  const { run, left } = suitesOf(role, selectSuites(suiteNames()));
  const results = await runEach(runtime, run, role);
  for (const suite of left) test.skip(`${suite} · ${runtime.label} (skipped: ${whyLeft(role)})`);
  for (const [suite, cases] of results) {
    describe(`${suite} · ${runtime.label} (${runtime.version})`, () => {
      for (const result of cases) {
        if (result.status === "skip") {
          test.skip(`${result.name} (skipped: ${result.reason})`, () => {});
          continue;
        }
        test(titleOf(result.name, result.share), () => {
          if (result.status === "fail") throw new Error(result.error);
        });
      }
      test("has cases", () => {
        expect(cases.length).toBeGreaterThan(0);
      });
    });
  }
  const share = shareOf(role);
  const tried = share === undefined ? "" : `, SEALWIRE_SHARE=${share} of what is computed alone`;
  afterAll(() => console.log(`${runtime.label}: ${runtime.version} (${runtime.path})${tried}`));
}
