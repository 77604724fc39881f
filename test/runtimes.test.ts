// Every suite in every runtime, each in a process of its own, two at a time. The cases are known only once
// they ran, so they run while vitest collects this file, and each is then reported as a test.
import { afterAll, describe, expect, test } from "vitest";
import { suiteNames, suitePath } from "../scripts/bundle-suites.js";
import { runSuite } from "../scripts/run-suite.js";
import { missingRuntimes, runtimes } from "../scripts/runtimes.js";

const PARALLEL_PROCESSES = 2;

const found = runtimes();
const jobs = suiteNames().flatMap((suite) => found.map((runtime) => ({ suite, runtime })));
type Job = (typeof jobs)[number];
const results = new Map<Job, Awaited<ReturnType<typeof runSuite>>>();

async function work(queue: Job[]): Promise<void> {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    const startMs = performance.now();
    const cases = await runSuite(job.runtime, suitePath(job.suite));
    results.set(job, cases);
    const count = (status: string) => cases.filter((result) => result.status === status).length;
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const progress = `[${results.size}/${jobs.length}]`;
    const failed = count("fail") === 0 ? "" : `, ${count("fail")} FAILED`;
    process.stderr.write(
      `${progress} ${job.suite} · ${job.runtime.label} (${job.runtime.version}): ${count("pass")} passed${failed} in ${seconds} s\n`,
    );
  }
}

const queue = [...jobs];
await Promise.all(Array.from({ length: PARALLEL_PROCESSES }, () => work(queue)));

test("every runtime is installed", () => {
  expect(missingRuntimes()).toEqual([]);
  expect(found.map((runtime) => runtime.id)).toEqual(["node20", "node26", "bun", "deno"]);
});

test("the row that says Node 20 is Node 20", () => {
  expect(found.find((runtime) => runtime.id === "node20")?.version).toMatch(/^20\./);
  expect(found.find((runtime) => runtime.id === "node26")?.version).toMatch(/^26\./);
});

for (const job of jobs) {
  describe(`${job.suite} · ${job.runtime.label} (${job.runtime.version})`, () => {
    for (const result of results.get(job)!) {
      const run = result.status === "skip" ? test.skip : test;
      run(result.name, () => {
        if (result.status === "fail") throw new Error(result.error);
      });
    }
    test("has cases", () => {
      expect(results.get(job)!.length).toBeGreaterThan(0);
    });
  });
}

afterAll(() => {
  console.log(found.map((runtime) => `${runtime.label}: ${runtime.version} (${runtime.path})`).join("\n"));
});
