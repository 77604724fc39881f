// Every suite in every runtime that is here, each in a process of its own, two at a time. The cases are known only
// once they ran, so they run while vitest collects this file, and each is then reported as a test. `npm test -- rpc`
// (SEALWIRE_TEST_PARTS) runs the suites whose name contains "rpc".
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { suiteNames, suitePath } from "../scripts/bundleSuites.js";
import { selectSuites } from "../scripts/parts.js";
import { runSuite } from "../scripts/runSuite.js";
import { missingRuntimes, probe, runtimes } from "../scripts/runtimes.js";

const PARALLEL_PROCESSES = 2;

const found = runtimes();
const suites = selectSuites(suiteNames());
const jobs = suites.flatMap((suite) => found.map((runtime) => ({ suite, runtime })));
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

describe("the runtimes", () => {
  for (const { role, reason, packaged } of missingRuntimes()) {
    // `npm ci` brings the runtime to this system, so in continuous integration its absence is a fault.
    const required = packaged && process.env.SEALWIRE_REQUIRE_RUNTIMES === "1";
    console.warn(`no rows of ${reason}`);
    test.skipIf(!required)(`${role} is installed`, () => {
      throw new Error(reason);
    });
  }

  test("the machine's Node is as new as package.json demands", () => {
    const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    const machine = found.find((runtime) => runtime.roles.includes("node"));
    const least = Number(/^>=(\d+)$/.exec(engines.node)![1]);
    expect(Number(machine?.version.split(".")[0])).toBeGreaterThanOrEqual(least);
  });

  test("a row that says Node 20 is Node 20", () => {
    for (const { id, label, version } of found.filter(({ id }) => id.startsWith("node"))) {
      const major = version.split(".")[0];
      expect([id, label]).toEqual([`node${major}`, `Node ${major}`]);
    }
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
  });

  test("a runtime that is absent or does not start is left out with its reason, and two of one version are one", () => {
    const [machine] = found;
    const candidate = (role: string, ...paths: (string | undefined)[]) => ({
      role,
      label: role,
      paths,
      args: [],
      packaged: true,
    });
    const result = probe([
      candidate("node", machine!.path),
      candidate("node-current", undefined, machine!.path),
      candidate("bun", undefined),
      candidate("deno", import.meta.filename),
    ]);
    expect(result.found.map(({ id, roles }) => [id, roles])).toEqual([
      [machine!.id, ["node", "node-current"]],
    ]);
    expect(result.missing.map(({ role, packaged }) => [role, packaged])).toEqual([
      ["bun", true],
      ["deno", true],
    ]);
    expect(result.missing[0]!.reason).toContain("not installed");
    expect(result.missing[1]!.reason).toContain("does not start");
  });
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
