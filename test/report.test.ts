// The bench harness and its report: a small real run of the raw TCP control, the report of a recorded run in a real
// headless browser (Debian's chromium), and the parts that decide the meaning of a number.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { suiteOf } from "../bench/matrix/cipher.js";
import { allowedCores } from "../bench/matrix/processes.js";
import { parseArguments } from "../bench/matrix/settings.js";
import { median, summary } from "../bench/matrix/statistics.js";
import { CountingServer } from "../bench/matrix/worker/control.js";
import { buildReport } from "../bench/report/build.js";
import { limitTables } from "../bench/report/limit.js";
import { markdownSummary } from "../bench/report/markdown.js";
import { evaluateTargets } from "../bench/report/targets.js";
import { runtimes } from "../scripts/runtimes.js";
import { skipTitle } from "./support/skipTitle.ts";

const recorded = JSON.parse(readFileSync(new URL("fixtures/bench-run.json", import.meta.url), "utf8"));
const runtimeIds: string[] = recorded.machine.runtimes.map(({ id }: { id: string }) => id);
const folder = mkdtempSync(join(tmpdir(), "sealwire-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a filtered run", () => {
  const main = fileURLToPath(new URL("../bench/matrix/main.js", import.meta.url));
  const args = ["--quick", "raw", runtimes()[0]!.id, "64", "sweep", "--out", folder];

  test("checks, times and writes its four files", () => {
    const output = execFileSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 60_000 });
    expect(output).toContain("MB/s by payload size, one-way");
    const files = readdirSync(folder).sort();
    expect(files.filter((name) => name.startsWith("latest"))).toEqual([
      "latest.html",
      "latest.json",
      "latest.md",
    ]);
    const run = JSON.parse(readFileSync(join(folder, "latest.json"), "utf8"));
    expect(run.failures).toEqual([]);
    expect(run.results.map(({ row, size }: { row: string; size: number }) => [row, size])).toEqual([
      ["one-way", 64],
      ["request", 64],
    ]);
    for (const { ns, count } of run.results) {
      expect(ns.samples).toHaveLength(5);
      expect(ns.min).toBeLessThanOrEqual(ns.median);
      expect(count).toBeGreaterThan(0);
    }
  }, 90_000);

  test("typed calls are a section of it, checked and timed in the first runtime", () => {
    const typedRun = ["--quick", runtimes()[0]!.id, "typed", "sealwire", "--slice", "5", "--out", folder];
    execFileSync(process.execPath, [main, ...typedRun], { encoding: "utf8", timeout: 60_000 });
    const run = JSON.parse(readFileSync(join(folder, "latest.json"), "utf8"));
    expect(run.failures).toEqual([]);
    const contenders = run.results.map(({ contender }: { contender: string }) => contender);
    expect(contenders).toEqual(["raw", "by-hand", "layer", "typed"]);
    for (const { manyUs, oneUs, bytes } of run.results) {
      expect(manyUs.samples).toHaveLength(5);
      expect(manyUs.min).toBeGreaterThan(0);
      expect(oneUs.samples).toHaveLength(5);
      expect(bytes).toBeGreaterThan(0);
    }
    expect(readFileSync(join(folder, "latest.md"), "utf8")).toContain("| typed call − JSON by hand |");
  }, 90_000);

  test("an argument that means nothing is refused by name", () => {
    expect(() => parseArguments(["nodejs"])).toThrow("nodejs");
    expect(() => parseArguments(["--rounds", "4"])).toThrow("--rounds");
    expect(parseArguments(["bun", "tls", "request", "--rounds", "7"])).toMatchObject({
      rounds: 7,
      filters: { runtimes: ["bun"], contenders: ["tls"], rows: ["Request"], sections: [], sizes: [] },
    });
  });
});

describe("what the numbers mean", () => {
  test("medians and spreads", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(summary([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5, samples: [5, 1, 3] });
  });

  test("rows with both ends on one core take a core that the bench may use", () => {
    expect(allowedCores("Name:\tnode\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\nMems:\t1\n")).toEqual({
      all: "0-3",
      first: "0",
    });
    expect(allowedCores("Cpus_allowed_list:\t12,14-15\n")).toEqual({ all: "12,14-15", first: "12" });
  });

  test("a one-way row ends only when every message is counted", async () => {
    const server = new CountingServer();
    const expect3 = new Uint8Array([0xff, 3, 0, 0, ...new Uint8Array(8)]);
    new DataView(expect3.buffer).setFloat64(4, 3);
    let reported: Uint8Array | undefined;
    const report = Promise.resolve(server.onRequest(expect3)).then((body) => {
      reported = body;
    });
    const message = new Uint8Array(10);
    server.onMessage(message, 0, 10);
    server.onMessage(message, 0, 10);
    await Promise.resolve();
    expect(reported).toBeUndefined();
    server.onMessage(message, 2, 6);
    await report;
    const view = new DataView(reported!.buffer);
    expect([view.getFloat64(0), view.getFloat64(8)]).toEqual([3, 24]);
  });

  test("the cipher suite is read from a ServerHello", () => {
    const hello = new Uint8Array(80);
    hello.set([22, 3, 3, 0, 75, 2, 0, 0, 71, 3, 3]);
    hello[43] = 32;
    hello.set([0x13, 0x02], 44 + 32);
    expect(suiteOf(hello)).toBe("TLS_AES_256_GCM_SHA384");
    expect(suiteOf(hello.subarray(0, 77))).toBeUndefined();
    hello[0] = 21; // an alert
    expect(suiteOf(hello)).toBeUndefined();
  });

  test("targets compare rows of the same run, and a missing row is not a reached target", () => {
    for (const { name, cells } of evaluateTargets(recorded)) {
      expect(cells.length, name).toBeGreaterThan(0);
      for (const { value } of cells) expect(value, name).toBeTypeOf("number");
    }
    const without = recorded.results.filter(
      ({ contender }: { contender: string }) => !contender.startsWith("tls"),
    );
    const againstTls = evaluateTargets({ ...recorded, results: without }).filter(({ name }) =>
      name.includes("TLS"),
    );
    expect(againstTls.length).toBeGreaterThan(3);
    for (const cell of againstTls.flatMap(({ cells }) => cells))
      expect(cell).toMatchObject({ value: undefined, reached: undefined });
  });

  test("every contender's share of the limit is that of its processor time", () => {
    const clientCpuNs = { median: 400 };
    const serverCpuNs = { median: 600 };
    const row = { section: "rows", row: "SendNoWait", pinned: false, client: "bun", server: "bun" };
    const results = [
      { ...row, contender: "raw", clientCpuNs: { median: 100 }, serverCpuNs: { median: 120 } },
      { ...row, contender: "sealwire", clientCpuNs, serverCpuNs },
      // The cheaper cipher counts: 0.2 ns a byte, 280 for a message.
      { section: "aead", contender: "raw", cipher: "a", client: "bun", bytes: 1_000, ns: 200 },
      { section: "aead", contender: "raw", cipher: "b", client: "bun", bytes: 1_000, ns: 900 },
    ];
    const shares = limitTables({ ...recorded, results })[1]!;
    expect(shares.head).toEqual(["operation", "contender", "Bun"]);
    expect(shares.rows).toEqual([["one-way, 1,400 B", "sealwire", "50"]]);
  });

  test("sealwire stands in the tables with its defaults and with views, and says which is which", () => {
    const markdown = markdownSummary(recorded);
    expect(markdown).toContain(
      "- sealwire: v2: Noise NNpsk0, AES-256-GCM; defaults, bodies are copies to keep.",
    );
    expect(markdown).toMatch(/- sealwire, views: .*messageBodies: "view".* not the default/);
    for (const row of ["Send", "SendNoWait", "Request", "ParallelRequest", "ParallelRequest [s]"])
      for (const label of ["sealwire", "sealwire, views"])
        expect(markdown).toContain(`| ${row} | ${label} |`);
    expect(markdown).toContain("| payload | sealwire | sealwire, views |");
    const delivered = "one-way 1,400 B, against TLS with the same framing";
    const names = evaluateTargets(recorded).map(({ name }) => name);
    expect(names).toContain(delivered);
    expect(names).toContain(`${delivered}, with views`);
    // Neither stands in for the other.
    const viewsAlone = recorded.results.filter(
      ({ contender }: { contender: string }) => contender !== "sealwire",
    );
    const targets = evaluateTargets({ ...recorded, results: viewsAlone });
    const valuesOf = (wanted: string) =>
      targets.find(({ name }) => name === wanted)!.cells.map(({ value }) => typeof value);
    expect(new Set(valuesOf(delivered))).toEqual(new Set(["undefined"]));
    expect(new Set(valuesOf(`${delivered}, with views`))).toEqual(new Set(["number"]));
  });

  test("typed calls stand beside the same work by hand, with what they cost more", () => {
    const markdown = markdownSummary(recorded);
    expect(markdown).toContain("| sealwire, typed call | 8.44 (8.44–8.44) | 50.8 (50.8–50.8) | – |");
    // Bun, then Deno: what is beyond, and what is below.
    expect(markdown).toContain("| typed call − JSON by hand | +0.79 | −6.2 |  |");
    expect(markdown).toContain("| typed call − JSON by hand | −1.22 | −10.5 |  |");
    expect(markdown).toContain("| typed call − request with bytes | +4.4 | +7.1 |  |");
    const values = (wanted: string) =>
      evaluateTargets(recorded)
        .find(({ name }) => name.startsWith("typed call") && name.includes(wanted))!
        .cells.map(({ runtime, value, reached }) => [runtime, value?.toFixed(2), reached]);
    expect(values("by hand")).toContainEqual(["bun", "0.79", true]);
    expect(values("with bytes")).toContainEqual(["bun", "4.40", false]);
    expect(values("fastest")).toContainEqual(["deno", "4.52", true]);
  });

  test("the Markdown summary has the machine, the versions and every table", () => {
    const markdown = markdownSummary(recorded);
    expect(markdown).toContain(recorded.machine.cpu);
    for (const { label, version } of recorded.machine.runtimes)
      expect(markdown).toContain(`${label} ${version}`);
    for (const title of [
      "Targets",
      "one-way, delivered",
      "between runtimes",
      "Handshakes",
      "Idle",
      "Growth",
      "an echo of a small JSON object, both ends in one process",
    ]) {
      expect(markdown).toContain(title);
    }
  });
});

const expectedCharts = [
  ...["one-way", "sweep-one-way", "sweep-request", "latency-ParallelRequest", "heap-SendNoWait"],
  ...["heap-ParallelRequest", "handshakes", "idle"],
]
  .flatMap((chart) => runtimeIds.map((id) => `${chart}-${id}`))
  .concat(["pairs-one-way", "pairs-request"])
  .concat(["growth-messages", "growth-memory", "growth-connections", "growth-in-flight"]);

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));
const noBrowser = executablePath === undefined ? "Chromium is not installed" : undefined;

describe.skipIf(noBrowser !== undefined)(skipTitle("the HTML report in a browser", noBrowser), () => {
  let browser: Browser;
  const address = pathToFileURL(join(folder, "report.html")).href;

  beforeAll(async () => {
    writeFileSync(join(folder, "report.html"), buildReport(recorded));
    browser = await chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
  });
  afterAll(() => browser?.close());

  async function open(width: number, colorScheme: "light" | "dark") {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) requests.push(request.url());
    });
    await page.goto(address);
    return { page, complaints, requests };
  }

  /** What each chart is made of, and how far its ink and the page reach. */
  function inspect(page: Page) {
    return page.evaluate(() => ({
      charts: [...document.querySelectorAll<HTMLElement>("figure")].map((figure) => {
        const drawn = figure.querySelector("svg");
        const inks = [...figure.querySelectorAll("svg text, svg rect, svg circle, svg path")];
        const boxes = inks.map((ink) => ink.getBoundingClientRect()).filter(({ width }) => width > 0);
        return {
          id: figure.dataset.chart ?? "",
          label: drawn?.getAttribute("aria-label") ?? "",
          marks: figure.querySelectorAll(":is([aria-label=bar], [aria-label=dot], [aria-label=cell]) > *")
            .length,
          texts: [...figure.querySelectorAll("svg text")].filter((text) => text.textContent !== "").length,
          left: Math.min(...boxes.map((box) => box.left)),
          right: Math.max(...boxes.map((box) => box.right)),
        };
      }),
      pageWidth: document.documentElement.scrollWidth,
      background: getComputedStyle(document.body).backgroundColor,
      ink: getComputedStyle(document.body).color,
    }));
  }

  for (const [width, scheme] of [
    [1_400, "light"],
    [1_400, "dark"],
    [400, "light"],
    [400, "dark"],
  ] as const) {
    test(`has every chart at ${width} px in ${scheme}`, async () => {
      const { page, complaints, requests } = await open(width, scheme);
      const { charts, pageWidth, background, ink } = await inspect(page);
      expect(charts.map(({ id }) => id)).toEqual(expect.arrayContaining(expectedCharts));
      for (const chart of charts) {
        expect(chart.marks, chart.id).toBeGreaterThan(1);
        expect(chart.texts, chart.id).toBeGreaterThan(3);
        expect(chart.label, chart.id).not.toBe("");
        expect(chart.left, chart.id).toBeGreaterThanOrEqual(0);
        expect(chart.right, chart.id).toBeLessThanOrEqual(width);
      }
      expect(pageWidth).toBeLessThanOrEqual(width);
      const brightness = (colour: string) => Number(/\d+/.exec(colour)?.[0]);
      expect(brightness(background) > brightness(ink)).toBe(scheme === "light");
      expect(complaints).toEqual([]);
      expect(requests).toEqual([]);
      await page.context().close();
    });
  }

  test("draws its charts again when the window changes", async () => {
    const { page, complaints } = await open(1_400, "light");
    const widthOf = () =>
      page.$eval("[data-chart='pairs-one-way'] svg", (chart) => chart.getBoundingClientRect().width);
    const before = await widthOf();
    await page.setViewportSize({ width: 400, height: 900 });
    await page.waitForFunction(
      (old) =>
        document.querySelector("[data-chart='pairs-one-way'] svg")!.getBoundingClientRect().width < old,
      before,
    );
    expect(await widthOf()).toBeLessThanOrEqual(400);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});
