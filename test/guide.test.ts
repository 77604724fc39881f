// Every program of docs/GUIDE.md runs as it is printed, in each kind of runtime, and prints what its comments say.
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { runtimeKinds } from "../scripts/runtimes.js";
import { repositoryRoot } from "./support/vectors.ts";

const run = promisify(execFile);
const guide = readFileSync(join(repositoryRoot, "docs/GUIDE.md"), "utf8");

/** The programs, each by the chapter that it stands in. */
function programs(): { chapter: string; text: string }[] {
  return guide.split(/^## /m).flatMap((part) => {
    const chapter = part.split("\n")[0]!;
    return [...part.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => ({ chapter, text: match[1]! }));
  });
}

test("the guide has programs, and no blocks of code that nothing runs", () => {
  expect(programs().length).toBeGreaterThan(4);
  const kinds = [...guide.matchAll(/^```(\w+)$/gm)].map((match) => match[1]);
  expect(new Set(kinds)).toEqual(new Set(["js"]));
});

describe.each(runtimeKinds())("in $label ($version)", (runtime) => {
  test.each(programs().map(({ chapter, text }) => [chapter, text]))("%s", async (chapter, text) => {
    const folder = join(repositoryRoot, "build/guide");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${chapter.replace(/\W+/g, "-")}-${runtime.id}.mjs`);
    const built = (_: string, entry = "/index") => `"../../dist${entry}.js"`;
    writeFileSync(file, text.replace(/"sealwire(\/\w+)?"/g, built));
    // Deno finds packages through package.json, which this repository's tests otherwise keep from it. The page says that
    // these permissions are enough.
    const args = runtime.id === "deno" ? ["run", "--allow-net", "--allow-env"] : runtime.args;
    const { stdout } = await run(runtime.path, [...args, file], { cwd: folder, timeout: 60_000 });
    const expected = [...text.matchAll(/\/\/ prints: (.*)$/gm)].map((match) => match[1]!);
    expect(expected.length).toBeGreaterThan(0);
    expect(stdout.trim().split("\n").sort()).toEqual(expected.sort());
  });
});
