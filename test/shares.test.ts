// The shares of the gate: at least one runtime tries each case, and within a few commits each runtime tries all.
import { afterEach, describe, expect, test, vi } from "vitest";
import { suiteNames } from "../scripts/bundleSuites.js";
import {
  isInTurn,
  longest,
  ofAnyNode,
  SHARES,
  shareOf,
  shareOfSuite,
  sharesText,
  suitesOf,
  titleOf,
  triesTest,
  whyLeft,
} from "../scripts/shares.js";
import { suiteProcesses } from "../scripts/suiteProcesses.js";

const roles = ["node-current", "bun", "deno"];
const turns = Array.from({ length: SHARES }, (_, turn) => turn);

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

describe("shares of runtimes", () => {
  test("the machine's Node tries everything, and every runtime with --every", () => {
    for (const turn of turns) expect(shareOf("node", turn)).toBeUndefined();
    vi.stubEnv("SEALWIRE_EVERY", "1");
    for (const role of roles) expect(shareOf(role)).toBeUndefined();
    for (const role of roles) expect(suitesOf(role, suiteNames()).left).toEqual([]);
  });

  test("the others each try another share, and each of them every share within as many turns", () => {
    for (const turn of turns) expect(new Set(roles.map((role) => shareOf(role, turn))).size).toBe(3);
    for (const role of roles) {
      const shares = new Set(turns.map((turn) => shareOf(role, turn)));
      expect([...shares].sort()).toEqual(turns.map((number) => `${number}/${SHARES}`));
    }
    expect(shareOf("bun")).toBe(shareOf("bun"));
  });

  test("both builds of the module are tried whole: one in the machine's Node, the other in the current one", () => {
    for (const suite of suiteNames()) {
      const isOfBuilds = suite.startsWith("core/") || suite.startsWith("noise/");
      for (const turn of turns) {
        expect(shareOfSuite("node", suite, turn)).toBeUndefined();
        expect(shareOfSuite("node-current", suite, turn) === undefined).toBe(isOfBuilds);
        for (const role of ["bun", "deno"]) expect(shareOfSuite(role, suite, turn)).toBe(shareOf(role, turn));
      }
      if (isOfBuilds && Object.hasOwn(ofAnyNode, suite))
        expect(suite).toMatch(/Plain$|^(core\/(unpack|slotPool)|noise\/(patterns|knownPeersRoles))$/);
    }
    // Suites that share a process share the answer.
    for (const group of suiteProcesses(suiteNames()))
      expect(new Set(group.map((suite) => shareOfSuite("node-current", suite, 0))).size).toBe(1);
  });

  test("tests of which a commit tries a part: each in as many commits as there are parts", () => {
    for (const place of [0, 1, 2, 3, 4]) {
      expect(turns.filter((turn) => isInTurn(place, SHARES, turn))).toHaveLength(1);
      for (const turn of turns) {
        expect(triesTest("node", place, turn)).toBe(true);
        expect(roles.filter((role) => triesTest(role, place, turn)).length).toBeLessThanOrEqual(1);
      }
      for (const role of roles) expect(turns.filter((turn) => triesTest(role, place, turn))).toHaveLength(1);
    }
    vi.stubEnv("SEALWIRE_EVERY", "1");
    for (const turn of turns) expect(isInTurn(0, 2, turn) && triesTest("bun", 0, turn)).toBe(true);
  });

  test("runtimes leave suites to others, which exist, and run each of them within as many turns", () => {
    const suites = suiteNames();
    for (const name of [...Object.keys(ofAnyNode), ...longest]) expect(suites).toContain(name);
    for (const turn of turns) {
      expect(suitesOf("node", suites, turn)).toEqual({ run: suites, left: [] });
      const ran = roles.flatMap((role) => suitesOf(role, Object.keys(ofAnyNode), turn).run);
      expect(new Set(ran).size).toBe(ran.length);
      expect(ran.length).toBeGreaterThan(0.7 * Object.keys(ofAnyNode).length);
    }
    // What a version of Node can change: its sockets, timers, memory, processes, and cryptography of its own.
    const ofVersions =
      /^adapters\/|[sS]ockets$|[tT]imeouts$|[tT]imers|[mM]emory|[dD]isk|Dns$|soak|shutdown|crashes|processLife|streams$|turnQueue|liveness|redial|^core\/(gcm|gcmFrameCipher|chaCha20Poly1305|x25519|mlKem)$/;
    expect(Object.keys(ofAnyNode).filter((name) => ofVersions.test(name))).toEqual([]);
    expect(suites.filter((name) => ofVersions.test(name)).length).toBeGreaterThan(20);
    for (const role of roles) {
      const ran = turns.flatMap((turn) => {
        const { run, left } = suitesOf(role, suites, turn);
        expect([...run, ...left].sort()).toEqual(suites);
        for (const name of left) expect([...Object.keys(ofAnyNode), ...longest]).toContain(name);
        expect(whyLeft(role)).toContain(role);
        return run;
      });
      expect(new Set(ran).size, role).toBe(suites.length);
    }
  });
});

describe("a share of cases", () => {
  const cases = Array.from({ length: 101 }, (_, i) => i);
  const inShare = async (share: string) => {
    vi.resetModules();
    vi.stubEnv("SEALWIRE_SHARE", share);
    const harness = await import("./support/harness.ts");
    return { ...(await import("./support/every.ts")), told: harness.told };
  };

  test("all shares together are the whole, without one twice", async () => {
    const tried: number[] = [];
    for (const number of turns) {
      const { shared, isShared, told } = await inShare(`${number}/${SHARES}`);
      const own = shared(cases);
      expect(own).toEqual(cases.filter((i) => isShared(i)));
      expect(told.share).toBe(`1 in ${SHARES} cases`);
      tried.push(...own);
    }
    expect(tried.sort((a, b) => a - b)).toEqual(cases);
  });

  test("a share of few is one, counts are rounded up, and a step comes by every bit of a byte", async () => {
    const { shared, sharedCount, sharedStep, inShare: options } = await inShare(`3/${SHARES}`);
    expect(shared(["a", "b"])).toEqual(["b"]);
    expect(shared([])).toEqual([]);
    expect(sharedCount(1)).toBe(1);
    expect(sharedCount(2_000)).toBe(500);
    for (const step of [1, 3, 5, 27, 53]) {
      const bits = new Set(Array.from({ length: 8 }, (_, i) => (i * sharedStep(step)) % 8));
      expect(bits.size).toBe(8);
    }
    expect(options(3)).toEqual({});
    expect(options(0).skip).toContain("the machine's Node");
  });

  test("without a share everything is tried, and nothing is said", async () => {
    for (const [share, every] of [
      ["0/1", ""],
      [`1/${SHARES}`, "1"],
    ] as const) {
      vi.stubEnv("SEALWIRE_EVERY", every);
      const { shared, sharedCount, sharedStep, inShare: options, told } = await inShare(share);
      expect(shared(cases)).toEqual(cases);
      expect([sharedCount(40), sharedStep(8), options(1)]).toEqual([40, 8, {}]);
      expect(told).toEqual({});
    }
  });

  test.each(["4/4", "1", "a/4", "-1/4", "0.5/4", ""])("%o is refused", async (share) => {
    await expect(inShare(share)).rejects.toThrow("SEALWIRE_SHARE");
  });

  test("titles tell it, and the end of a run how many did", () => {
    expect(titleOf("a test")).toBe("a test");
    const titles = ["a test", titleOf("a test", "1 in 4 cases"), titleOf("other", "1 in 4 cases")];
    const report = { testResults: [{ assertionResults: titles.map((title) => ({ title })) }] };
    expect(sharesText(report)).toMatch(/^2 tests .*test:every/);
    expect(sharesText({ testResults: [] })).toBe("");
  });
});
