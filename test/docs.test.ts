// The documents agree with the code: options with their defaults, error codes, and the README's programs, which run as
// they are printed.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { faults } from "../scripts/conformance/faults.js";
import { editFaults } from "../scripts/conformance/run.js";
import { runtimes } from "../scripts/runtimes.js";
import { conformanceFaults, protocolSentences, readClaims } from "./support/conformance.ts";
import { fileWith, missingFiles, readTree, unclearNames } from "./support/sourceTree.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const src = readTree("src");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const api = read("docs/API.md");
const run = promisify(execFile);
const installed = runtimes();

/** The text of the one file of src/ that has `mark`. */
const sourceWith = (mark: string) => src.get(fileWith(src, mark))!;
/** The declaration of error codes: one per line. */
const DECLARED_CODE = /^ {2}\| "(ERR_\w+)"/gm;
const declaredCodes = () =>
  [...sourceWith("export type ErrorCode").matchAll(DECLARED_CODE)].map((match) => match[1]!);

describe("docs/API.md", () => {
  test("lists every error code, and none that does not exist", () => {
    const declared = declaredCodes();
    const documented = [...api.slice(api.indexOf("## Errors")).matchAll(/`(ERR_\w+)`/g)].map(
      (match) => match[1],
    );
    expect(declared.length).toBeGreaterThan(20);
    expect([...new Set(documented)].sort()).toEqual([...declared].sort());
  });

  test("every declared code is used", () => {
    const sources = [...src.values()].map((text) => text.replace(/^ {2}\| "ERR_.*$/gm, ""));
    const unused = declaredCodes().filter((code) => !sources.some((text) => text.includes(`"${code}"`)));
    expect(unused).toEqual([]);
  });

  test("gives every limit with its real default", async () => {
    const { defaultLimits } = await import(join(root, "src", fileWith(src, "export const defaultLimits")));
    expect(Object.keys(defaultLimits).length).toBeGreaterThan(5);
    for (const [name, value] of Object.entries(defaultLimits)) {
      expect(api).toContain(`| \`${name}\` | ${value} |`);
    }
  });

  /** Numeric options with the default that their docstring gives, in every file of the tree. */
  function documentedDefaults(tree: ReadonlyMap<string, string>): [name: string, value: number][] {
    const option = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n {2}(\w+)\?: number;/g;
    const found = [...tree.values()].flatMap((text) => [...text.matchAll(option)]);
    return found.flatMap(([, text, name]) => {
      const given = /Default ([\d,]+)( MiB)?/.exec(text!);
      if (given === null) return [];
      const value = Number(given[1]!.replaceAll(",", ""));
      return [[name!, given[2] === undefined ? value : value * 1_048_576]];
    });
  }
  /** Those that the page does not give so. */
  const otherDefaults = (tree: ReadonlyMap<string, string>) =>
    documentedDefaults(tree).filter(([name, value]) => !api.includes(`| \`${name}\` | ${value} |`));

  test("and docstrings give the same defaults", () => {
    const wrong = "{\n  /** How long. Default 10,001. */\n  handshakeTimeoutMs?: number;\n}";
    expect(otherDefaults(new Map([["a.ts", wrong]]))).toEqual([["handshakeTimeoutMs", 10_001]]);
    const options = /interface (ConnectionLimits|AdmissionOptions|CommonOptions|ClientOptions)\b/;
    const files = new Map([...src].filter(([, text]) => options.test(text)));
    expect(documentedDefaults(files).length).toBeGreaterThan(15);
    expect(otherDefaults(files)).toEqual([]);
  });

  test("names every option that connect and listen take", () => {
    const source = sourceWith("export interface ClientOptions");
    const declared = [...source.matchAll(/^ {2}(\w+)\?: /gm)].map((match) => match[1]!);
    expect(declared.length).toBeGreaterThan(10);
    for (const name of declared) expect(api, name).toContain(`\`${name}`);
  });
});

describe("files that documents name", () => {
  const documents = [
    ...readdirSync(root).filter((name) => name.endsWith(".md") && name !== "CHANGELOG.md"),
    ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
  ];

  test("a file that does not exist is found", () => {
    const text =
      "`src/index.ts`, `src/gone.ts`, [a link](docs/API.md), [none](docs/NONE.md#part), `bench/`, `tests/x`";
    expect(missingFiles(text, "README.md")).toEqual(["src/gone.ts", "docs/NONE.md"]);
    expect(
      missingFiles("[a](API.md) [b](../README.md) [c](NONE.md) `scripts/none.js`", "docs/API.md"),
    ).toEqual(["scripts/none.js", "docs/NONE.md"]);
  });

  test.each(documents)("%s names only scripts that package.json has", (path) => {
    const { scripts } = JSON.parse(read("package.json"));
    const named = [...read(path).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test.each(documents)("%s names only files that exist", (path) => {
    expect(missingFiles(read(path), path)).toEqual([]);
  });
});

describe("test/CONFORMANCE.md", () => {
  const sentences = protocolSentences(read("docs/PROTOCOL.md"));
  const claims = readClaims(read("test/CONFORMANCE.md"));
  const sourceOf = (suite: string): string | undefined => {
    const path = join(root, "test/suites", `${suite}.ts`);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  };

  test("a sentence that nobody tests is found, and so are claims that are not true", () => {
    const page = [
      "# Before",
      "Not looked at.",
      "## Frames",
      "A frame of 3 bytes is",
      "a protocol error. Others are [fine](#kinds), e.g. this one.",
      "",
      "| kind | name |",
      "|---|---|",
      "| 1 | reply |",
      "```text",
      "Code is not looked at.",
      "```",
      "- A planted sentence.",
      "#### Worked vectors: transport",
      "Nor is this.",
    ].join("\n");
    const found = protocolSentences(page);
    expect([...found]).toEqual([
      [
        "Frames",
        [
          "A frame of 3 bytes is a protocol error.",
          "Others are fine, e.g. this one.",
          "1 · reply",
          "A planted sentence.",
        ],
      ],
    ]);
    const table = [
      "## Frames",
      "> A frame of 3 bytes is a protocol error.",
      "- hostile/a: …: short frames",
      "- hostile/a: long frames",
      "> Others are fine, e.g. this one.",
      "- no test: permits",
      "> 1 · reply",
      "> It was said once.",
      "- gone: every test",
    ].join("\n");
    const suites = new Map([
      ["hostile/a", "test(`$" + '{name}: short frames`, () => {});\ntest("others", run);'],
    ]);
    expect(conformanceFaults(found, readClaims(table), (suite) => suites.get(suite))).toEqual([
      'no test is named for "Frames: A planted sentence."',
      'there is no "hostile/a: long frames"',
      'neither test nor reason for "Frames: 1 · reply"',
      'the page does not say "Frames: It was said once."',
      'there is no "gone: every test"',
    ]);
  });

  test("names a test, or the reason why there is none, for every sentence of PROTOCOL.md", () => {
    expect([...sentences.values()].flat().length).toBeGreaterThan(400);
    expect(claims.filter(({ tests }) => tests.length > 0).length).toBeGreaterThan(300);
    expect(conformanceFaults(sentences, claims, sourceOf)).toEqual([]);
  });

  test("its planted faults (scripts/conformance) can be made: what they replace stands in its file once", () => {
    expect(faults.flatMap(editFaults)).toEqual([]);
    const edits = [{ file: "/src/protocol/wire.ts", find: "no such text", replace: "" }];
    expect(editFaults({ section: "", rule: "", text: "", edits })).toHaveLength(1);
  });
});

describe("docs/ARCHITECTURE.md", () => {
  const page = read("docs/ARCHITECTURE.md");
  const section = (title: string) => {
    const start = page.indexOf(`\n## ${title}\n`);
    expect(start, title).toBeGreaterThan(0);
    const end = page.indexOf("\n## ", start + 1);
    return page.slice(start, end < 0 ? undefined : end);
  };
  const paths = (text: string) => [...text.matchAll(/`(src\/[\w/]+\.ts)`/g)].map((match) => match[1]!);

  test("a name that is no file, or two, is found", () => {
    const tree = new Map([
      ["core/a.ts", ""],
      ["rpc/b.ts", ""],
      ["peers/b.ts", ""],
    ]);
    expect(unclearNames("`a.ts`, `b.ts`, `gone.ts`, `src/core/gone.ts`, a.ts", tree)).toEqual([
      "b.ts",
      "gone.ts",
    ]);
  });

  test("names files that exist", () => {
    expect(page.match(/`\w+\.ts`/g)!.length).toBeGreaterThan(50);
    expect(unclearNames(page, src)).toEqual([]);
  });

  test("has a row for every layer, from the lowest on", () => {
    const folders = [...section("Layers").matchAll(/^\| `src\/(\w+)\/`/gm)].map((match) => match[1]!);
    const inTree = new Set(
      [...src.keys()].flatMap((path) => (path.includes("/") ? [path.split("/")[0]!] : [])),
    );
    expect([...folders].sort()).toEqual([...inTree].sort());
    expect(folders.slice(0, 6)).toEqual(["base", "core", "protocol", "rpc", "typed", "adapters"]);
  });

  test("draws every state, and no other", () => {
    const stages = /const Stage = \{\n([\s\S]*?)\n\}/.exec(sourceWith("const Stage = {"))![1]!;
    const declared = [...stages.matchAll(/^ {2}(\w+): \d+,$/gm)].map((match) => match[1]!);
    expect(declared.length).toBeGreaterThan(5);
    const diagram = /```\n([\s\S]*?)```/.exec(section("The states of a connection"))![1]!;
    // A state stands before or after an arrow: ──what moves it──▶
    const drawn = [...diagram.replace(/──[^─]*──▶/g, ",").matchAll(/\w+/g)].map((match) => match[0]);
    expect([...new Set(drawn)].filter((word) => word !== "any").sort()).toEqual([...declared].sort());
  });

  test("and the README name the same files to read first", () => {
    const first = paths(section("Six files to read first"));
    expect(first).toHaveLength(6);
    const readme = read("README.md");
    expect(paths(readme.slice(readme.indexOf("To read it"), readme.indexOf("## Licence")))).toEqual(first);
  });
});

describe("README.md", () => {
  const programs = [...read("README.md").matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]!);

  /** Runs a printed program: the built package in place of the installed one, a free port in place of its own. */
  async function runProgram(
    name: string,
    text: string,
    runtime: (typeof installed)[number],
  ): Promise<string> {
    const folder = join(root, "build/readme");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${name}-${runtime.id}.mjs`);
    const local = text
      .replace(/port: 700\d/, "port: 0")
      .replace(/"sealwire(\/\w+)?"/, (_, entry: string | undefined) => {
        return `"../../dist${entry ?? "/index"}.js"`;
      });
    writeFileSync(file, local);
    const env = { ...process.env, SEALWIRE_PSK: "ab".repeat(32) };
    const { stdout } = await run(runtime.path, [...runtime.args, file], {
      cwd: folder,
      env,
      timeout: 30_000,
    });
    return stdout;
  }

  for (const runtime of installed) {
    const entry = runtime.id.startsWith("node") ? "node" : runtime.id;
    for (const from of [`sealwire/${entry}`, "sealwire"]) {
      test(`its first program runs on ${runtime.label} (${runtime.version}) from "${from}"`, async () => {
        const program = programs.find((text) => text.includes("client.sendNoWait("))!;
        const text = program.replace('"sealwire"', `"${from}"`);
        const show = 'console.log("answer:", new TextDecoder().decode(answer));';
        expect(await runProgram(from.replace("/", "-"), `${text}\n${show}\n`, runtime)).toContain(
          "answer: hello",
        );
      });
    }

    test(`its program with streams runs on ${runtime.label} (${runtime.version})`, async () => {
      const program = programs.find((text) => text.includes("client.call("))!;
      expect((await runProgram("streams", program, runtime)).trim().split("\n")).toEqual([
        "item of 4",
        "item of 4",
        "item of 4",
        "answer: 300000 bytes",
      ]);
    });

    test(`its program with keys runs on ${runtime.label} (${runtime.version})`, async () => {
      const program = programs.find((text) => text.includes("generateKeyPair"))!;
      const file = join(root, "build/readme", `known_peers-${runtime.id}`);
      rmSync(file, { force: true });
      const text = program
        .replaceAll("port: 7001, staticKey", "port: server.port, staticKey")
        .replaceAll("port: 7001,\n  staticKey: clientKeys", "port: server.port,\n  staticKey: clientKeys")
        .replace('"known_peers"', JSON.stringify(file));
      expect(await runProgram("keys", text, runtime)).toBe("3 true\n3 true\n");
    });
  }
});

describe("CHANGELOG.md", () => {
  const [, ...versions] = read("CHANGELOG.md").split(/^## /m);

  test("each version has sections by Keep a Changelog, and each section is a list", () => {
    expect(versions[0]).toMatch(/^Unreleased\n/);
    for (const version of versions) {
      const [title, ...sections] = version.split(/^### /m);
      expect(title!.trim()).toMatch(/^Unreleased$|^\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d$/);
      for (const section of sections) {
        const [name, ...lines] = section.trim().split("\n");
        expect(name).toMatch(/^(Added|Changed|Deprecated|Removed|Fixed|Security)$/);
        // A list item, or a line that goes on with one.
        expect(lines.filter((line) => !/^($| *- \S| {2,}\S)/.test(line))).toEqual([]);
      }
    }
  });
});
