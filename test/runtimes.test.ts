// The runtimes that have rows: which of them are here, that each is the one that its rows name, and that none is
// missing silently.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { missingRuntimes, probe, runtimes } from "../scripts/runtimes.js";

const found = runtimes();

describe("the runtimes", () => {
  for (const { role, reason, packaged } of missingRuntimes()) {
    // `npm ci` brings the runtime to this system, so in continuous integration its absence is a fault.
    const required = packaged && process.env.SEALWIRE_REQUIRE_RUNTIMES === "1";
    console.warn(`no rows of ${reason}`);
    test.skipIf(!required)(`${role} is installed${required ? "" : ` (skipped: ${reason})`}`, () => {
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
