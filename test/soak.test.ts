// A few seconds of `npm run soak`, and its verdict, which tells lines that climb from lines that go up and down.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pairsChart, soakChart } from "../scripts/soak/chart.js";
import { measures, verdicts } from "../scripts/soak/verdict.js";

const still = Object.fromEntries(Object.keys(measures).map((measure) => [measure, 1]));
const samples = (valueAt: (i: number) => number, measure = "rssMiB") =>
  Array.from({ length: 120 }, (_, i) => ({ ...still, second: i, [measure]: valueAt(i) }));
const isFlat = (valueAt: (i: number) => number, measure = "rssMiB") =>
  verdicts(samples(valueAt, measure)).find((verdict: { measure: string }) => verdict.measure === measure)!
    .flat;

test("the verdict: what climbs is not flat, what a collector brings back is", () => {
  expect(isFlat(() => 100)).toBe(true);
  expect(isFlat((i) => 100 + (i % 20) * 20)).toBe(true);
  expect(isFlat((i) => 100 + Math.min(i, 30) * 5)).toBe(true); // until it is warm
  expect(isFlat((i) => 100 + i)).toBe(false);
  expect(isFlat((i) => 100 + i + (i % 20) * 20)).toBe(false);
  expect(verdicts(samples(() => 1).slice(0, 5))[0]!.flat).toBeUndefined();
});

test("the verdict: a single slot, and a few files or deadlines, that are never given back show", () => {
  const busy = (i: number) => i % 4;
  // As a pool lost them once: the first at a fifth of the run, the second at its end.
  const lost = (i: number) => (i < 24 ? 0 : i < 110 ? 1 : 2);
  expect(isFlat(busy, "slots")).toBe(true);
  expect(isFlat((i) => (i < 40 ? 0 : 3) + (i === 119 ? -3 : 0), "slots")).toBe(true); // back at its end
  expect(isFlat(lost, "slots")).toBe(false);
  expect(isFlat((i) => lost(i) + busy(i), "slots")).toBe(false);
  expect(isFlat((i) => 25 + Math.floor(i / 25) + busy(i), "files")).toBe(false);
  expect(isFlat((i) => 1 + Math.floor(i / 10) + 5 * busy(i), "deadlines")).toBe(false);
  expect(isFlat((i) => 1 + 5 * busy(i), "deadlines")).toBe(true);
});

test("the chart has a panel per measure and a line per end", () => {
  const chart = soakChart("a & b", { server: samples((i) => i), client: samples(() => 5) });
  expect(chart).toContain("a &amp; b");
  expect(chart.match(/<polyline/g)).toHaveLength(2 * Object.keys(measures).length);
  expect(chart).not.toMatch(/NaN|undefined|Infinity/);
});

test("the chart of several pairs has a panel per pair and a line per end", () => {
  const pair = (name: string) => ({ name, server: samples((i) => i), client: samples(() => 5) });
  const chart = pairsChart("memory", [pair("a & b"), pair("c")], "rssMiB");
  expect(chart.match(/<polyline/g)).toHaveLength(4);
  expect(chart).toContain("a &amp; b, MiB");
  expect(chart).not.toMatch(/NaN|undefined|Infinity/);
});

test("a short soak, with faults between both ends: nothing is broken, nothing is held, both end by themselves", () => {
  const out = mkdtempSync(join(tmpdir(), "sealwire-soak-"));
  try {
    const args = ["scripts/soak.js", "--minutes", "0.08", "--pairs", "node-node", "--out", out];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 90_000 });
    expect(stdout, stderr).not.toContain("VIOLATED");
    const files = readdirSync(out);
    const json = files.find((name) => name.endsWith(".json"));
    expect(
      files.filter((name) => name.endsWith(".svg")),
      stderr,
    ).toHaveLength(1);
    const { last } = JSON.parse(readFileSync(join(out, json!), "utf8"));
    const { counts } = last.client;
    for (const what of ["requests", "messages", "items", "typed"])
      expect(counts[what], what).toBeGreaterThan(0);
    expect(last.server.counts.messages).toBeLessThanOrEqual(counts.messages);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}, 100_000);
