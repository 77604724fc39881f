// A short part of the fuzzer (npm run fuzz): its corpus, some new inputs of each level, and a part of the planted faults
// that it has to find.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { bundleExact, bundleFuzzer, type Edit } from "../scripts/fuzz/bundles.js";
import { BlockCounter } from "../scripts/fuzz/coverage.js";
import { runtimes } from "../scripts/runtimes.js";
import { staleEdits } from "../scripts/sourceEdits.js";
import { plantedInTurn } from "./support/testsInTurn.ts";

interface Bundle {
  path: string;
  levels: string[];
  blocks: number;
}

const corpus = fileURLToPath(new URL("./fuzz/corpus", import.meta.url));

function folderOf(name: string): string {
  const folder = fileURLToPath(new URL(`../build/fuzz-${name.replaceAll(" ", "-")}`, import.meta.url));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Plays the corpus and so many new inputs of these levels. */
function fuzz({ path, blocks }: Bundle, levels: string[], runs: number, also: object = {}) {
  const options = { seed: 1, seconds: 0, runs, levels, corpus, blocks, ...also };
  const [runtime] = runtimes();
  const { stdout, stderr } = spawnSync(runtime!.path, [...runtime!.args, path, JSON.stringify(options)], {
    encoding: "utf8",
    timeout: 100_000,
  });
  const last = stdout.trimEnd().split("\n").at(-1)!;
  if (!last.startsWith("{")) throw new Error(`${stdout}\n${stderr}`);
  return { told: stdout, ...(JSON.parse(last) as { failures: number; inputs: Record<string, number> }) };
}

/** Starts programs as npm run fuzz does. Only the process that starts them gets a signal, once they have told something. */
async function stopped(starts: string, killedAfterMs?: number): Promise<{ status: number; told: string }> {
  const script = `
    import { StoppableRuns } from "./scripts/stoppableRuns.js";
    const programs = new StoppableRuns(${killedAfterMs ?? ""});
    ${starts}`;
  const [runtime] = runtimes();
  const child = spawn(runtime!.path, ["--input-type=module", "--eval", script], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let told = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (told === "") child.kill("SIGTERM");
    told += text;
  });
  const [status] = await once(child, "close");
  return { status, told };
}

describe("the fuzzer", () => {
  test("finds nothing in its corpus and some new inputs of each level", async () => {
    const bundles = await bundleFuzzer(folderOf("clean"));
    expect(bundles.flatMap(({ levels }) => levels)).toHaveLength(8);
    for (const bundle of bundles) {
      const { told, failures, inputs } = fuzz(bundle, bundle.levels, 15);
      expect(failures, told).toBe(0);
      expect(Object.keys(inputs)).toEqual(bundle.levels);
      for (const count of Object.values(inputs)) expect(count).toBeGreaterThan(50);
    }
    // The same decisions reach the same blocks, and give the same inputs.
    const [exact] = bundles;
    const told = () =>
      fuzz(exact!, ["protocol"], 20, { corpus: undefined }).told.replace(/"perSecond":\d+/, "");
    const first = told();
    expect(first).toContain('"runs":20');
    expect(told()).toBe(first);
  });

  const inTurn = plantedInTurn();
  const planted: [string, string, Edit][] = [
    [
      "a record that ends behind its bundle",
      "frames",
      {
        file: "/src/protocol/backlog.ts",
        find: "next < bodyStart || next > end",
        replace: "next < bodyStart",
      },
    ],
    [
      "padding that is longer than its frame",
      "frames",
      { file: "/src/protocol/frameOpener.ts", find: " || count > end - start", replace: "" },
    ],
    [
      "a forged tag that is not looked at",
      "frames",
      {
        file: "/src/protocol/frameOpener.ts",
        find: "if (opened < count && !this.#sink.stopped) throw notAuthentic();",
        replace: "",
      },
    ],
    [
      "a property __proto__ behind an escape",
      "codecs",
      { file: "/src/typed/codec/jsonCodec.ts", find: ' || text.includes("\\\\u")', replace: "" },
    ],
    [
      "bytes that stay in lent memory",
      "codecs",
      {
        file: "/src/typed/codec/msgpackCodec.ts",
        find: "hasBytes ? copyBytes(value) : value",
        replace: "value",
      },
    ],
    [
      "messages that are sent without credit",
      "protocol",
      {
        file: "/src/protocol/credit.ts",
        find: "return this.#bytes > 0;",
        replace: "return this.#bytes > -100_000;",
      },
    ],
    [
      "a handler that is not told of the end",
      "protocol",
      { file: "/src/rpc/handlers.ts", find: "    this.#others.add(earlier);\n", replace: "" },
    ],
  ];
  for (const [name, level, edit] of planted) inTurn(`finds ${name}`, () => finds(name, level, edit));

  test("every planted fault finds its text", () => {
    expect(staleEdits(planted.map(([, , edit]) => edit))).toEqual([]);
  });

  async function finds(name: string, level: string, edit: Edit): Promise<void> {
    const exact = await bundleExact(folderOf(name), [edit]);
    const { told, failures } = fuzz(exact, [level], 300, { first: true });
    expect(failures).toBeGreaterThan(0);
    // What is told plays the failure again.
    const [, tape] = /--tape (\S+)/.exec(told)!;
    expect(fuzz(exact, [level], 0, { tape }).failures).toBe(1);
  }

  test("a run that is stopped tells what it tried", async () => {
    const { path, blocks } = await bundleExact(folderOf("stopped"));
    const options = JSON.stringify({
      seed: 1,
      seconds: 100,
      runs: 0,
      levels: ["exports", "frames"],
      corpus,
      blocks,
    });
    const { status, told } = await stopped(`
      await programs.run(process.execPath, [${JSON.stringify(path)}, ${JSON.stringify(options)}]);
      if (await programs.run(process.execPath, ["--version"])) console.log("not reached");`);
    expect(status, told).toBe(0);
    const last = JSON.parse(told.trimEnd().split("\n").at(-1)!);
    // The level that was under way is counted, and the next one did not begin.
    expect(last).toMatchObject({ stopped: true, failures: 0, inputs: { exports: expect.any(Number) } });
    expect(last.inputs.exports).toBeGreaterThan(0);
    expect(last.inputs).not.toHaveProperty("frames");
  });

  test("a run is stopped although its input never ends, and tells how to play that again", async () => {
    const folder = folderOf("hung");
    await build({
      stdin: {
        contents: `
          import { fuzz } from "./test/fuzz/main.ts";
          setInterval(() => {}, 1_000); // as with the sockets of a live level
          const run = (random) => (console.log("begun", random.word()), new Promise(() => {}));
          const options = { seed: 1, seconds: 100, runs: 0, levels: [], blocks: 1, hangsAfterMs: 50 };
          await fuzz([{ name: "hung", run }], options);`,
        resolveDir: fileURLToPath(new URL("..", import.meta.url)),
      },
      outfile: `${folder}/hung.mjs`,
      bundle: true,
      format: "esm",
      platform: "node",
      logLevel: "warning",
      inject: [fileURLToPath(new URL("./fuzz/coverage.ts", import.meta.url))],
    });
    const { status, told } = await stopped(
      `await programs.run(process.execPath, [${JSON.stringify(`${folder}/hung.mjs`)}]);`,
    );
    expect(status, told).toBe(1);
    expect(told).toContain("an input hangs");
    const [, tape] = /--level "hung" --tape (\S+)/.exec(told)!;
    expect(told).toContain(`begun ${Buffer.from(tape!, "base64").readUInt32LE()}\n`);
    expect(JSON.parse(told.trimEnd().split("\n").at(-1)!)).toMatchObject({ stopped: true, failures: 1 });
  });

  test("a program that no signal ends is killed after a while", async () => {
    const loop = `process.on("SIGTERM", () => {}); console.log("begun"); for (;;);`;
    const { status, told } = await stopped(
      `await programs.run(process.execPath, ["--eval", ${JSON.stringify(loop)}]);`,
      200,
    );
    expect(status).toBe(1);
    expect(told).toBe("begun\n");
  });

  test("every block, branch and short circuit is counted, and the program stays the same", () => {
    const source = `
      const f = (a?: number) => a ?? 7;
      function g(a: number): string {
        if (a > 1) return "more";
        else if (a === 1) return "one";
        for (let i = 0; i < 3; i++) a += i;
        switch (a) { case 3: return a > 2 && f() === 7 ? "three" : "odd"; default: return "none"; }
      }
      [0, 1, 2].map((a) => g(a)).join()`;
    const counter = new BlockCounter();
    const counted = counter.instrument(source);
    expect(counter.blocks).toBe(13);
    const plain = counted.replaceAll(/: (number|string)\b/g, "").replace("a?", "a");
    const fuzzHits = new Array(counter.blocks).fill(0);
    expect(new Function("fuzzHits", plain.replace(/\[0, 1, 2\]/, "return [0, 1, 2]"))(fuzzHits)).toBe(
      "three,one,more",
    );
    expect(fuzzHits.filter((hits) => hits === 0)).toHaveLength(2);
  });
});
