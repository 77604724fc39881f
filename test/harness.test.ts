// The suite runner must be able to fail: it runs broken suites in every runtime, and the test compares their reports.
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, test } from "vitest";
import { bundle, suiteNames } from "../scripts/bundleSuites.js";
import { runSuites } from "../scripts/runSuite.js";
import { runtimes } from "../scripts/runtimes.js";
import { alone, suiteProcesses } from "../scripts/suiteProcesses.js";

const folder = fileURLToPath(new URL("../build/brokenSuites", import.meta.url));
const names = ["noTests", "fails", "exitsEarly", "staysAlive", "passes"];

beforeAll(async () => {
  await bundle(
    ["test/support/runner.ts", ...names.map((name) => `test/support/brokenSuites/${name}.ts`)],
    folder,
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.concurrent.each(runtimes())("$label ($version)", (runtime) => {
  const together = async (...suites: string[]) => {
    const paths = suites.map((name) => `${folder}/support/brokenSuites/${name}.js`);
    const results = await runSuites(runtime, paths, { runner: `${folder}/support/runner.js` });
    return results.map(({ cases }) => cases);
  };
  const run = async (name: string) => (await together(name))[0]!;

  test("a suite without tests fails", async ({ expect }) => {
    const cases = await run("noTests");
    expect(cases).toMatchObject([{ name: "the suite loads", status: "fail" }]);
    expect(cases[0]!.error).toContain("registers no test");
  });

  test("every way a test can fail is reported, and the others are not disturbed", async ({ expect }) => {
    const cases = await run("fails");
    expect(cases.map((result) => `${result.status} ${result.name}`)).toEqual([
      "pass passes",
      "fail throws",
      "fail rejects",
      "fail leaves a rejection behind",
      "fail throws in a callback",
      "fail hangs",
      "skip is skipped here",
      "skip is skipped everywhere",
      "pass passes after all that",
      "fail fails in the hook",
    ]);
    const errors = Object.fromEntries(cases.map((result) => [result.name, result.error]));
    expect(errors["leaves a rejection behind"]).toContain("nobody caught this");
    expect(errors["throws in a callback"]).toContain("thrown later");
    expect(errors.hangs).toContain("not finished after 50 ms");
    expect(errors.hangs).toContain("it waits for what never comes\nnothing has happened\n");
    expect(errors["fails in the hook"]).toContain("the hook found something");
  });

  test("a process that leaves before its last test fails", async ({ expect }) => {
    const cases = await run("exitsEarly");
    expect(cases.at(-1)).toMatchObject({ name: "the suite runs to its end", status: "fail" });
  });

  test("a process that a test keeps alive fails", async ({ expect }) => {
    const cases = await run("staysAlive");
    expect(cases.at(-1)).toMatchObject({ name: "the process ends by itself", status: "fail" });
  });

  test("suites that share a process have their own tests, checks and failures", async ({ expect }) => {
    const [fails, passes, none, again] = await together("fails", "passes", "noTests", "passes");
    expect(fails).toHaveLength(10);
    expect(passes).toMatchObject([{ name: "passes, too", status: "pass" }]);
    expect(none).toMatchObject([{ name: "the suite loads", status: "fail" }]);
    // A module is loaded once: the second time nothing registers.
    expect(again).toMatchObject([{ name: "the suite loads", status: "fail" }]);
  });

  test("suites behind one that ends the process fail, and who keeps the process alive is told last", async ({
    expect,
  }) => {
    const [early, behind] = await together("exitsEarly", "passes");
    for (const cases of [early, behind])
      expect(cases!.at(-1)).toMatchObject({ name: "the suite runs to its end", status: "fail" });
    const [alive, last] = await together("staysAlive", "passes");
    expect(alive!.every(({ status }) => status === "pass")).toBe(true);
    expect(last!.at(-1)).toMatchObject({ name: "the process ends by itself", status: "fail" });
  });
});

test("every suite has its place in one process, and those that need one of their own have it", ({
  expect,
}) => {
  const processes = suiteProcesses(suiteNames());
  expect(processes.flat().sort()).toEqual(suiteNames());
  for (const name of Object.keys(alone)) expect(processes).toContainEqual([name]);
});
