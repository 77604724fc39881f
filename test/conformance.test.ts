// The faults of scripts/conformance: each is about one sentence of PROTOCOL.md. This test plants a sample, and the tests
// that CONFORMANCE.md names notice each fault of it. `npm run conformance` plants all. test/docs.test.ts checks that the
// faults fit the sources.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Fault, faults } from "../scripts/conformance/faults.js";
import { baseline, testsOf, tryFault } from "../scripts/conformance/run.js";
import { readClaims } from "./support/conformance.ts";
import { repositoryRoot } from "./support/vectors.ts";

const claims = readClaims(readFileSync(`${repositoryRoot}/test/CONFORMANCE.md`, "utf8"));
/** Of different kinds, and noticed by quick tests. */
const SAMPLE = [
  "a name of 64 bytes is hashed",
  "records of half a bundle share frames",
  "it widens it to eight times its size",
];

describe("the planted faults", () => {
  test("are about one sentence each, for which tests are named", () => {
    for (const fault of faults) expect(testsOf(fault, claims).length, fault.text).toBeGreaterThan(0);
    expect(new Set(faults.map(({ section, rule }) => `${section}: ${rule}`)).size).toBeGreaterThan(150);
    expect(() =>
      testsOf({ section: "Kinds", rule: "Nobody says this", text: "", edits: [] }, claims),
    ).toThrow("0 sentences");
  });

  test("a sample is noticed by the named tests, and what is no fault by none", async () => {
    const chosen = SAMPLE.map((text) => faults.find((fault) => fault.text === text)!);
    const harmless: Fault = {
      ...chosen[0]!,
      text: "nothing is wrong",
      edits: [
        {
          file: "/src/protocol/wire.ts",
          find: "LAST_RESERVED_KIND = 127",
          replace: "LAST_RESERVED_KIND = 0x7f",
        },
      ],
    };
    const { broken, took } = await baseline(chosen.flatMap((fault) => testsOf(fault, claims)));
    expect(broken).toEqual([]);
    for (const [i, fault] of [...chosen, harmless].entries()) {
      const { noticed, everything } = await tryFault(fault, testsOf(fault, claims), `sample-${i}`, took);
      expect(noticed.length > 0, fault.text).toBe(fault !== harmless);
      expect(everything, fault.text).toBe(false);
    }
  }, 120_000);
});
