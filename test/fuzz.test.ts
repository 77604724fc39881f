// A short part of the fuzzer (npm run fuzz): some rounds of each level, and planted faults that it has to find.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { bundleOptions } from "../scripts/bundleSuites.js";
import { runtimes } from "../scripts/runtimes.js";

interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** Bundles the fuzzer, with a fault where one is given, and runs so many rounds. */
async function fuzz(name: string, rounds: number, level?: string, edit?: Edit) {
  const folder = fileURLToPath(new URL(`../build/fuzz-${name}`, import.meta.url));
  const planted = {
    name: "planted",
    setup({ onLoad }: import("esbuild").PluginBuild) {
      if (edit === undefined) return;
      onLoad({ filter: new RegExp(`${edit.file}$`) }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        expect(text.split(edit.find)).toHaveLength(2);
        return { contents: text.replace(edit.find, () => edit.replace), loader: "ts" };
      });
    },
  };
  await build({ ...bundleOptions(["test/fuzz/main.ts"], folder), plugins: [planted] });
  const { path, args } = runtimes()[0]!;
  const options = [
    `${folder}/fuzz/main.js`,
    "1",
    "0",
    String(rounds),
    ...(level === undefined ? [] : [level]),
  ];
  const { stdout, stderr } = spawnSync(path, [...args, ...options], { encoding: "utf8", timeout: 100_000 });
  const last = stdout.trimEnd().split("\n").at(-1)!;
  if (!last.startsWith("{")) throw new Error(`${stdout}\n${stderr}`);
  return { told: stdout, ...(JSON.parse(last) as { failures: number; inputs: Record<string, number> }) };
}

describe("the fuzzer", () => {
  test("finds nothing in some rounds of each level", async () => {
    const { told, failures, inputs } = await fuzz("clean", 8);
    expect(failures, told).toBe(0);
    expect(Object.keys(inputs)).toHaveLength(5);
    for (const count of Object.values(inputs)) expect(count).toBeGreaterThan(50);
  });

  test.each<[string, string, Edit]>([
    [
      "a record that ends behind its bundle",
      "frames",
      { file: "backlog.ts", find: "next < bodyStart || next > end", replace: "next < bodyStart" },
    ],
    [
      "padding that is longer than its frame",
      "frames",
      { file: "frameOpener.ts", find: " || count > end - start", replace: "" },
    ],
    [
      "a forged tag that is not looked at",
      "frames",
      {
        file: "frameOpener.ts",
        find: "if (opened < count && !this.#sink.stopped) throw notAuthentic();",
        replace: "",
      },
    ],
    [
      "a property __proto__ behind an escape",
      "codecs",
      { file: "jsonCodec.ts", find: ' || text.includes("\\\\u")', replace: "" },
    ],
    [
      "bytes that stay in lent memory",
      "codecs",
      { file: "msgpackCodec.ts", find: "hasBytes ? copyBytes(value) : value", replace: "value" },
    ],
  ])("finds %s", async (name, level, edit) => {
    expect((await fuzz(name.replaceAll(" ", "-"), 40, level, edit)).failures).toBeGreaterThan(0);
  });
});
