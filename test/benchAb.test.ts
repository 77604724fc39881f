// The comparison of two builds: the meaning of its numbers and verdicts, its arguments, and one small real run of the
// build against itself.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { compare, orderOf, roundsPerStart, spread } from "../bench/ab/compare.js";
import { parseArguments, ROWS, rowsOf } from "../bench/ab/settings.js";
import { tablesOf, terminalTables } from "../bench/ab/table.js";
import { buildEdited, buildWithout, rules } from "../bench/ab/withoutRules.js";
import { medianInterval, quantile } from "../bench/matrix/statistics.js";

const folder = mkdtempSync(join(tmpdir(), "sealwire-ab-"));
writeFileSync(join(folder, "node.js"), "");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (...args: string[]) => parseArguments([folder, folder, ...args]);
/** Samples of A around 100 and of B `ratio` times as much, with the same disturbance in both of a pair. */
const pairsOf = (ratio: number, starts = 6, noise = 0.01) =>
  Array.from({ length: 60 }, (_, i) => {
    const disturbed = 100 * (1 + (i % 7));
    return { start: i % starts, a: disturbed, b: disturbed * (ratio + noise * ((i % 5) - 2)) };
  });

describe("statistics", () => {
  test("quantiles lie between the samples around them", () => {
    expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
    expect(quantile([1, 2, 3], 0.5)).toBe(2);
    expect(quantile([7], 0.75)).toBe(7);
    expect(spread([5, 1, 3, 2, 4])).toEqual({ median: 3, q1: 2, q3: 4, samples: [5, 1, 3, 2, 4] });
  });

  test("the interval of a median has the published ranks of the sign test", () => {
    const ranks = {
      5: [1, 5],
      6: [1, 6],
      8: [1, 8],
      9: [2, 8],
      10: [2, 9],
      12: [3, 10],
      20: [6, 15],
      50: [18, 33],
    };
    for (const [count, expected] of Object.entries(ranks)) {
      const samples = Array.from({ length: Number(count) }, (_, i) => i + 1).reverse();
      expect(medianInterval(samples), count).toEqual(expected);
    }
    expect(medianInterval([3])).toEqual([3, 3]);
    const many = medianInterval(Array.from({ length: 900 }, (_, i) => i + 1));
    expect(many).toEqual([421, 480]); // about 450.5 ± 1.96 · √900 / 2
  });

  test("the order within a pair alternates, over rounds and over rows", () => {
    const orders = [0, 1, 2, 3].map((round) => orderOf(round, 0).join(""));
    expect(orders).toEqual(["ab", "ba", "ab", "ba"]);
    expect(orderOf(0, 1)).toEqual(["b", "a"]);
  });

  test("every round belongs to one start", () => {
    expect(roundsPerStart(9, 2)).toEqual([5, 4]);
    expect(roundsPerStart(6, 6)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe("verdicts", () => {
  test("a ratio is that of a pair, so that what disturbs both does not count", () => {
    const { ratio, low, high, verdict } = compare(pairsOf(1, 6, 0), 0.03);
    expect([ratio, low, high, verdict]).toEqual([1, 1, 1, "same"]);
  });

  test("slower and faster beyond the tolerance, the same within it", () => {
    expect(compare(pairsOf(1.08), 0.03)).toMatchObject({ ratio: 1.08, meanRatio: 1.08, verdict: "slower" });
    expect(compare(pairsOf(0.9), 0.03).verdict).toBe("faster");
    expect(compare(pairsOf(1.01), 0.03).verdict).toBe("same");
    expect(compare(pairsOf(1.08), 0.1).verdict).toBe("same");
  });

  test("noise that hides the answer is unclear, not the same", () => {
    const noisy = [0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4].map((b, start) => ({ start, a: 1, b }));
    expect(compare(noisy, 0.03).verdict).toBe("unclear");
  });

  test("starts that disagree are no proof, however many pairs each has", () => {
    const others = [4, 5].map((start) => ({ start, a: 100, b: 90 }));
    const { low, verdict } = compare([...pairsOf(1.1, 4), ...others], 0.03);
    expect(low).toBeGreaterThan(1);
    expect(verdict).toBe("unclear");
    expect(compare([...pairsOf(1.1, 5), ...others.slice(1)], 0.03).verdict).toBe("slower");
  });

  test("what comes rarely is in the ratio of means alone", () => {
    const pairs = pairsOf(1, 6, 0).map((pair, i) => (i === 7 ? { ...pair, b: pair.b * 61 } : pair));
    const { ratio, meanRatio } = compare(pairs, 0.03);
    expect(ratio).toBe(1);
    expect(meanRatio).toBeGreaterThan(1.1);
  });
});

describe("arguments", () => {
  test("by default every row with both kinds of bodies, at least nine rounds", () => {
    const settings = parse();
    expect(settings.rounds).toBeGreaterThanOrEqual(9);
    expect(rowsOf(settings.filters)).toMatchObject({ timed: ROWS, bodies: ["copy", "view"] });
    expect(rowsOf(settings.filters).heap).toHaveLength(2);
    expect(rowsOf(settings.filters).idle.map(({ name }: { name: string }) => name)).toEqual([
      "idle",
      "heartbeats",
    ]);
    expect(ROWS.map(({ name, size }: { name: string; size: number }) => `${name} ${size}`)).toEqual([
      ...["SendNoWait 1400", "SendNoWait 64", "Request 1400", "ParallelRequest 1400"],
      ...["SendNoWait 65536", "SendNoWait 1048576"],
    ]);
  });

  test("filters of one kind add up, those of different kinds narrow each other down", () => {
    const { filters } = parse("sendnowait", "64", "1400", "view", "node-current", "deno");
    expect(filters).toEqual({
      runtimes: ["node26", "deno"],
      sizes: [64, 1_400],
      bodies: ["view"],
      rows: ["SendNoWait"],
    });
    const { timed, heap, idle, bodies } = rowsOf(filters);
    expect(timed.map(({ size }: { size: number }) => size)).toEqual([1_400, 64]);
    expect([heap, idle, bodies]).toEqual([[], [], ["view"]]);
    expect(rowsOf(parse("idle").filters)).toMatchObject({ timed: [], heap: [], idle: [{ name: "idle" }] });
    expect(rowsOf(parse("heap", "copy").filters)).toMatchObject({ timed: [], idle: [], bodies: ["copy"] });
  });

  test("options go to both ends, to one end, or to one build", () => {
    const args = ["--set", "engine=wasm", "--set", "server.maxHandshakes=9", "--set-b", "bundleBytes=0"];
    const [a, b] = parse(...args).builds;
    expect(a!.options).toEqual({ client: { engine: "wasm" }, server: { engine: "wasm", maxHandshakes: 9 } });
    expect(b!.options.client).toEqual({ engine: "wasm", bundleBytes: 0 });
  });

  for (const [args, names] of [
    [["--rounds", "5"], "--rounds"],
    [["--rounds", "1e3"], "--rounds"],
    [["--slice", "fast"], "--slice"],
    [["--warm-up", "0"], "--warm-up"],
    [["--starts", "5"], "--starts"],
    [["--starts", "7", "--rounds", "6"], "--starts"],
    [["--tolerance", "0"], "--tolerance"],
    [["--idle", "-1"], "--idle"],
    [["--set", "bundleBytes"], "bundleBytes"],
    [["--fast"], "--fast"],
    [["nodejs"], "nodejs"],
    [["heap", "64"], "heap 64"],
    [["idle", "64"], "idle 64"],
  ] as const) {
    test(`${args.join(" ")} is refused by name`, () => {
      expect(() => parse(...args)).toThrow(names);
    });
  }

  test("a folder without a build is refused by name", () => {
    expect(() => parseArguments([])).toThrow("dist A is missing");
    expect(() => parseArguments([folder])).toThrow("dist B is missing");
    expect(() => parseArguments([folder, join(folder, "nothing")])).toThrow("dist B");
  });
});

describe("a real run", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const main = join(root, "bench/ab/main.js");
  const dist = join(root, "dist");
  const short = ["--rounds", "12", "--slice", "5", "--warm-up", "50"];

  test("compares a build with itself: every pair is there, and the tables show it", () => {
    const args = [
      main,
      dist,
      dist,
      "node20",
      "SendNoWait",
      "64",
      "view",
      ...short,
      "--json",
      "--set-b",
      "bundleBytes=4096",
    ];
    const comparison = JSON.parse(
      execFileSync(process.execPath, args, { encoding: "utf8", timeout: 150_000 }),
    );
    expect(comparison.failures).toEqual([]);
    const rows = comparison.results.map((result: Record<string, unknown>) => [
      result.row,
      result.size,
      result.bodies,
    ]);
    expect(rows).toEqual([["SendNoWait", 64, "view"]]);
    for (const { cpuNs, elapsedNs, count } of comparison.results) {
      expect(count).toBeGreaterThan(0);
      for (const { a, b, ratio, low, high } of [cpuNs, elapsedNs]) {
        expect([a.samples.length, b.samples.length]).toEqual([12, 12]);
        for (const value of [...a.samples, ...b.samples]) expect(value).toBeGreaterThan(0);
        expect(low).toBeLessThanOrEqual(ratio);
        expect(high).toBeGreaterThanOrEqual(ratio);
      }
    }
    const [table] = tablesOf(comparison);
    expect(table!.rows.map((row: string[]) => row.slice(0, 2))).toEqual([["SendNoWait 64 B", "view"]]);
    for (const row of table!.rows) expect(row).toHaveLength(table!.head.length);
    const text = terminalTables(comparison);
    expect(text).toContain("client.bundleBytes=4096");
    expect(text).toMatch(/B is slower in \d+ rows/);
  }, 180_000);

  test("an option that a build does not know is a failure of its rows, with the build's own words", () => {
    const args = [
      main,
      dist,
      dist,
      "node20",
      "SendNoWait",
      "64",
      "copy",
      ...short,
      "--set-b",
      "noSuchOption=1",
    ];
    let output = "";
    try {
      execFileSync(process.execPath, args, { encoding: "utf8", timeout: 150_000, stdio: "pipe" });
    } catch (error) {
      expect((error as { status: number }).status).toBe(1);
      output = (error as { stdout: string }).stdout;
    }
    expect(output).toContain("No row for timed SendNoWait 64 B, copy in Node 20");
    expect(output).toContain("noSuchOption");
  }, 180_000);
});

describe("both builds in one process", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const run = (distB: string, ...more: string[]) =>
    spawnSync(
      process.execPath,
      [
        join(root, "bench/ab/together.js"),
        join(root, "dist"),
        distB,
        "node20",
        "--starts",
        "2",
        "--time",
        "30",
        "--warm-up",
        "20",
        ...more,
      ],
      { encoding: "utf8", timeout: 100_000 },
    );
  /** A build whose server answers, and whose messages never arrive. */
  const losing = join(folder, "losing");
  mkdirSync(losing);
  writeFileSync(
    join(losing, "node.js"),
    `export const listen = async () => ({ port: 1, close: async () => {} });
     export const connect = () => ({ request: async (body) => body, sendNoWait: () => true, close: async () => {} });`,
  );

  test.each([[[]], [["--views"]]])(
    "a build beside itself: every row has a ratio %s",
    (more) => {
      const { status, stdout, stderr } = run(join(root, "dist"), ...more);
      expect(stderr).toBe("");
      expect(status).toBe(0);
      const ratios = [...stdout.matchAll(/ (\d+\.\d{3}) \((\d+\.\d{3})–(\d+\.\d{3})\)$/gm)];
      expect(ratios).toHaveLength(6);
      for (const [, ratio] of ratios) expect(Number(ratio)).toBeGreaterThan(0);
    },
    120_000,
  );

  test("a build that loses messages gets no row", () => {
    const { status, stderr, stdout } = run(losing);
    expect(status).not.toBe(0);
    expect(stderr).toContain("messages were lost");
    expect(stdout).not.toContain("one way");
  }, 120_000);

  test.each([
    [["1400"], "only runtimes"],
    [["--starts", "0"], "--starts"],
  ])("%s is refused by name", (more, text) => {
    const { status, stderr } = run(losing, ...more);
    expect(status).toBe(2);
    expect(stderr).toContain(text);
  });
});

describe("a build without rules", () => {
  test("each rule's edits find their text, and the rest talks to itself", async () => {
    const without = join(folder, "without");
    await buildWithout(Object.keys(rules), without);
    const program = `
      import { connect, listen } from ${JSON.stringify(join(without, "node.js"))};
      const psk = new Uint8Array(32).fill(7);
      const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
      const client = connect({ port: server.port, psk });
      for (let i = 0; i < 3; i++) await client.sendNoWait(new Uint8Array(700_000));
      console.log((await client.request(new Uint8Array(100))).length);
      await client.close();
      await server.close();
    `;
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
    });
    expect(output).toBe("100\n");
  });

  test("a question for help is answered, and names no folder", () => {
    const program = fileURLToPath(new URL("../bench/ab/withoutRules.js", import.meta.url));
    const cwd = mkdtempSync(join(folder, "help-"));
    const { status, stderr } = spawnSync(process.execPath, [program, "--help"], { cwd, encoding: "utf8" });
    expect(status).toBe(2);
    for (const name of Object.keys(rules)) expect(stderr).toContain(name);
    expect(readdirSync(cwd)).toEqual([]);
  });

  test("a text that is not in the build is said, and so is one that is there twice", async () => {
    const finds = ["this text is nowhere", "return this.#"];
    const edits = finds.map((find) => ({ find, replace: find }));
    await expect(buildEdited(edits, join(folder, "other"))).rejects.toThrow(
      `not once in the build: ${finds.join(", ")}`,
    );
  });
});
