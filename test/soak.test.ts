// A few seconds of `npm run soak`, and what its verdict is worth: lines that climb are told from those that go up and down.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { soakChart } from "../scripts/soak/chart.js";
import { measures, verdicts } from "../scripts/soak/verdict.js";

const still = Object.fromEntries(Object.keys(measures).map((measure) => [measure, 1]));
const samples = (rssMiB: (i: number) => number) =>
  Array.from({ length: 120 }, (_, i) => ({ ...still, second: i, rssMiB: rssMiB(i) }));
const isFlat = (rssMiB: (i: number) => number) =>
  verdicts(samples(rssMiB)).find(({ measure }: { measure: string }) => measure === "rssMiB")!.flat;

test("the verdict: what climbs is not flat, what a collector brings back is", () => {
  expect(isFlat(() => 100)).toBe(true);
  expect(isFlat((i) => 100 + (i % 20) * 20)).toBe(true);
  expect(isFlat((i) => 100 + Math.min(i, 30) * 5)).toBe(true); // until it is warm
  expect(isFlat((i) => 100 + i)).toBe(false);
  expect(isFlat((i) => 100 + i + (i % 20) * 20)).toBe(false);
  expect(verdicts(samples(() => 1).slice(0, 5))[0]!.flat).toBeUndefined();
});

test("the chart has a panel per measure and a line per end", () => {
  const chart = soakChart("a & b", { server: samples((i) => i), client: samples(() => 5) });
  expect(chart).toContain("a &amp; b");
  expect(chart.match(/<polyline/g)).toHaveLength(2 * Object.keys(measures).length);
  expect(chart).not.toMatch(/NaN|undefined|Infinity/);
});

test("a short soak, with faults between both ends: nothing is broken, nothing is held, both end by themselves", () => {
  const out = mkdtempSync(join(tmpdir(), "sealwire-soak-"));
  try {
    const args = ["scripts/soak.js", "--minutes", "0.08", "--pairs", "node-node", "--out", out];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 90_000 });
    expect(stdout, stderr).not.toContain("VIOLATED");
    const [json] = readdirSync(out).filter((name) => name.endsWith(".json"));
    const { last } = JSON.parse(readFileSync(join(out, json!), "utf8"));
    const { counts } = last.client;
    for (const what of ["requests", "messages", "items", "typed"])
      expect(counts[what], what).toBeGreaterThan(0);
    expect(last.server.counts.messages).toBeLessThanOrEqual(counts.messages);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}, 100_000);
