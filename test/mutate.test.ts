// The mutation tester (scripts/mutate.js): the faults that it makes, that a text with all faults behind switches
// behaves as the original, and that it finds the line that a suite does not test.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { instrumented, mutantsOf } from "../scripts/mutation/mutants.js";
import { describeMutant, runMutants } from "../scripts/mutation/run.js";
import { runtimes } from "../scripts/runtimes.js";
import { repositoryRoot } from "./support/vectors.ts";

const file = "test/support/mutated/planted.ts";
const changes = (text: string) => mutantsOf(text).map(({ change }) => change);

describe("mutants", () => {
  test("boundaries, conditions, constants, booleans and statements", () => {
    expect(changes("export const f = (a: number, b: number) => a < b;")).toEqual([
      "`(a: number, b: number) => a < b` → `(a: number, b: number) => a <= b`",
    ]);
    expect(changes("if (ready) go();")).toEqual([
      "`if (ready) go();` → `if (!(ready)) go();`",
      "removed `go();`",
    ]);
    expect(changes("const x = a === b && c;")).toEqual([
      "`x = a === b && c` → `x = a === b || c`",
      "`a === b && c` → `a !== b && c`",
    ]);
    expect(changes("size = 16;")).toEqual([
      "removed `size = 16;`",
      "`size = 16` → `size = 17`",
      "`size = 16` → `size = 15`",
    ]);
    expect(changes("function f() { return true; }")).toEqual(["`return true;` → `return false;`"]);
    expect(changes("while (busy) wait();")).toEqual([
      "`while (busy) wait();` → `while (false) wait();`",
      "removed `wait();`",
    ]);
  });

  test("types, imports, keys and calls of super are left alone", () => {
    for (const text of [
      'import { a } from "b";',
      "type Size = 16 | 32;",
      "interface Options { limit?: 3 }",
      "let list: [1, 2];",
      'const o = { 1: "one" };',
      "class A extends B { constructor() { super(); } }",
    ]) {
      expect(mutantsOf(text)).toEqual([]);
    }
    expect(changes("const x = y as 3;\nconst z = 4 as number;")).toHaveLength(2);
  });

  test("a comparison is not negated twice", () => {
    expect(changes("if (a === b) { }")).toEqual(["`if (a === b) { }` → `if (a !== b) { }`"]);
  });

  test("one switch chooses one fault", () => {
    const text = readFileSync(`${repositoryRoot}/${file}`, "utf8");
    const all = instrumented(text, mutantsOf(text));
    for (const { id } of mutantsOf(text)) {
      expect(all.split(`__m(${id})`)).toHaveLength(2);
    }
    expect(mutantsOf(all).length).toBeGreaterThan(mutantsOf(text).length);
  });
});

test("every survivor with a reason is a fault that can be made today", () => {
  const survivors: Record<string, { line: string; change: string; reason: string }[]> = JSON.parse(
    readFileSync(`${repositoryRoot}/test/survivors.json`, "utf8"),
  );
  for (const [path, entries] of Object.entries(survivors)) {
    const text = readFileSync(`${repositoryRoot}/${path}`, "utf8");
    const lines = text.split("\n").map((line) => line.trim());
    const possible = mutantsOf(text).map(({ line, change }) => `${lines[line - 1]} ${change}`);
    for (const { line, change, reason } of entries) {
      expect(possible, path).toContain(`${line} ${change}`);
      expect(reason).toMatch(/\.$/);
    }
  }
});

test("a line that no test looks at is found, and nothing else", async () => {
  const results = await runMutants({
    file,
    entries: ["test/support/mutated/plantedSuite.ts"],
    runtime: runtimes()[0]!,
    jobs: 2,
    // On a busy machine a start takes a second longer than the one that was measured; then all would be "timed out".
    timeoutAddedMs: 2_000,
  });
  const found = (outcome: string) =>
    results.filter((result) => result.outcome === outcome).map((mutant) => describeMutant(file, mutant));
  const lines = readFileSync(`${repositoryRoot}/${file}`, "utf8").split("\n");
  const [untested, uncalled] = ["looks at it", "calls it"].map(
    (words) => `${file}:${lines.findIndex((line) => line.includes(`planted: no test ${words}`)) + 1}`,
  );
  expect(found("survived")).toEqual([
    `${untested}: removed \`this.calls = (this.calls ?? 0) + 1;\``,
    `${untested}: \`this.calls ?? 0\` → \`this.calls ?? 1\``,
    `${untested}: \`this.calls ?? 0\` → \`this.calls ?? -1\``,
    `${untested}: \`(this.calls ?? 0) + 1\` → \`(this.calls ?? 0) + 2\``,
    `${untested}: \`(this.calls ?? 0) + 1\` → \`(this.calls ?? 0) + 0\``,
  ]);
  expect(found("unreached")).toEqual([
    `${uncalled}: \`return this.calls === undefined;\` → \`return this.calls !== undefined;\``,
  ]);
  // The step of the loop: left out, 2 and 0.
  expect(found("timed out")).toHaveLength(3);
  expect(found("killed").length).toBeGreaterThan(10);
}, 120_000);
