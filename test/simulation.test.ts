// A short part of the simulation (npm run simulate): worlds in which no promise is broken, and a part of the planted
// faults, each of which is found.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { runtimes } from "../scripts/runtimes.js";
import { bundleWorld, withCountedLoops } from "../scripts/simulation/bundle.js";
import { faults } from "../scripts/simulation/faults.js";
import { staleEdits } from "../scripts/sourceEdits.js";
import { plantedInTurn } from "./support/testsInTurn.ts";

const folder = fileURLToPath(new URL("../build/simulation/", import.meta.url));

interface Total {
  worlds: number;
  faults: number;
  failed: number[];
  fingerprint: number;
}

/** Runs seeds, and gives the last line's totals with everything that was told before it. */
function run(bundle: string, from: number, seeds: number): { total: Total; told: string } {
  const { path, args } = runtimes()[0]!;
  const { stdout, stderr } = spawnSync(path, [...args, bundle, String(from), String(seeds), "1"], {
    encoding: "utf8",
    timeout: 100_000,
  });
  const lines = stdout.trimEnd().split("\n");
  const last = lines.pop()!;
  if (!last.startsWith("{")) throw new Error(`${stdout}\n${stderr}`);
  return { total: JSON.parse(last) as Total, told: lines.join("\n") };
}

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
});

describe("simulated worlds", () => {
  test("no promise is broken, and a seed determines its world", async () => {
    const bundle = `${folder}test.js`;
    await bundleWorld("test/simulation/main.ts", bundle);
    const { total, told } = run(bundle, 1, 8);
    expect(told).toBe("");
    expect(total).toMatchObject({ worlds: 8, failed: [] });
    expect(total.faults).toBeGreaterThan(50);
    expect(run(bundle, 1, 8).total).toEqual(total);
  });

  const inTurn = plantedInTurn();
  for (const [i, [name, { edits, seed = 1 }]] of Object.entries(faults).entries())
    inTurn(`${name}: found`, async () => {
      const bundle = `${folder}test-${i}.js`;
      await bundleWorld("test/simulation/main.ts", bundle, edits);
      expect(run(bundle, seed, 80).total.failed).toHaveLength(1);
    });

  test("every planted fault finds its text", () => {
    expect(staleEdits(Object.values(faults).flatMap(({ edits }) => edits))).toEqual([]);
  });

  test("every loop with a block counts its iterations", () => {
    const source = "  for (const a of f(b)) {\n  }\n  while (true) {\n  }\n  for (;;) x();\n";
    expect(withCountedLoops(source).match(/countWork\(\)/g)).toHaveLength(2);
  });

  test("a fault that no longer fits its source is told", async () => {
    const edits = [{ file: "/src/rpc/api.ts", find: "no such text", replace: "" }];
    await expect(bundleWorld("test/simulation/main.ts", `${folder}none.js`, edits)).rejects.toThrow(
      "holds 0 times: no such text",
    );
  });
});
