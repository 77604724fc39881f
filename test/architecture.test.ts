// The shape of the source (the direction of imports, entry points, names, sizes), read from the tree. A file that moves
// or is renamed needs no change here, unless it is in one of the lists of exceptions. An exception that is no longer
// one fails, too.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { longFunctions } from "./support/longFunctions.ts";
import {
  brokenImports,
  constantsDefinedTwice,
  fakeableCalls,
  fileWith,
  findCycle,
  foreignImports,
  importGraph,
  importsOf,
  longFiles,
  namesInAnotherCase,
  namesUsedTwice,
  readTree,
  type SourceTree,
  strangersAtTheTop,
  upwardImports,
} from "./support/sourceTree.ts";
import { tenuredFunctions } from "./support/tenuredFunctions.ts";
import { repositoryRoot } from "./support/vectors.ts";

/** The folders of src/, lower layers first: a file imports from its own layer and from those before it. */
const layers = [
  "base",
  "core",
  "protocol",
  "rpc",
  "typed",
  "adapters",
  "peers",
  "otel",
  "entry",
  "cli",
] as const;
type Layer = (typeof layers)[number];

/** Modules of the runtime that a layer may use; everything else in src/ is plain JavaScript. */
const allowedNodeModules: Record<Layer, RegExp | undefined> = {
  base: undefined,
  core: /^node:crypto$/,
  protocol: undefined,
  rpc: undefined,
  typed: undefined,
  adapters: /^node:/,
  peers: /^node:/,
  otel: /^(node:diagnostics_channel|@opentelemetry\/api)$/,
  entry: /^node:/,
  cli: /^(node:.*|@stricli\/core)$/,
};

const MOST_LINES = 300;
/** Files of src/ that may be longer, each with its reason: none today. */
const longerWithReason: Record<string, string> = {};

/** A function fits a screen. */
const MOST_FUNCTION_LINES = 50;
/** Functions of src/ that may be longer, each with its reason. */
const longerFunctions: Record<string, string> = {
  "typed/codec/shortText.ts: shortText": "an unrolled loop: one case per length",
};

/** Functions of src/ that may be made there, each with its reason. */
const tenuredWithReason: Record<string, string> = {
  "adapters/nodeReceiveBuffer.ts: ReceivingSocket": "one class for all accepted sockets",
  "adapters/nodeReceiveBuffer.ts: onconnection": "one per listener, which Node keeps",
  "cli/proxyCommand.ts: stats": "one per process",
  "entry/memoryNetwork.ts: connections": "one per network, in tests",
  "protocol/preparedHead.ts: fields": "it holds the bytes of the head's fields, and nothing else",
};

function layerOf(path: string): Layer {
  if (!path.includes("/")) return "entry";
  const folder = path.split("/")[0]!;
  const layer = layers.find((name) => name === folder);
  if (layer === undefined) {
    throw new Error(`src/${folder} belongs to no layer; name it in test/architecture.test.ts`);
  }
  return layer;
}
const rank = (path: string) => layers.indexOf(layerOf(path));

/** The sources of the package's entry points, from package.json: "./node" is dist/node.js, made of src/node.ts. */
function entryPoints(): string[] {
  const { exports } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
  const text = JSON.stringify(exports);
  return [...new Set([...text.matchAll(/"\.\/dist\/(\w+)\.js"/g)].map((match) => `${match[1]}.ts`))].sort();
}

const src = readTree("src");
const srcGraph = importGraph(src);

describe("the checks themselves find a planted fault", () => {
  /** The real tree with one file more or changed. */
  const withFile = (path: string, text: string, tree: SourceTree = src): SourceTree =>
    new Map([...tree, [path, text]]);
  const clean: SourceTree = new Map([
    ["core/a.ts", 'import { b } from "./b.ts";\n'],
    ["core/b.ts", ""],
    ["rpc/c.ts", 'import { a } from "../core/a.ts";\nimport type { b } from "../core/b.ts";\n'],
  ]);

  test("importsOf sees every form of import", () => {
    const text = `
      import a from "./a.ts";
      import { b,
        c } from "./b.ts";
      import type { D } from './d.ts';
      import "./e.ts";
      export * from "./f.ts";
      export { g } from "./g.ts";
      const h = await import("./h.ts");
      // import x from "./comment.ts";
      export const text = "from";
    `;
    expect(importsOf(text)).toEqual(["./a.ts", "./b.ts", "./d.ts", "./e.ts", "./f.ts", "./g.ts", "./h.ts"]);
  });

  test("findCycle finds a cycle and passes a diamond", () => {
    expect(
      findCycle(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["a"]],
        ]),
      ),
    ).toEqual(["a", "b", "c", "a"]);
    expect(
      findCycle(
        new Map([
          ["a", ["b", "c"]],
          ["b", ["d"]],
          ["c", ["d"]],
          ["d", []],
        ]),
      ),
    ).toBeUndefined();
    expect(findCycle(importGraph(withFile("core/b.ts", 'export * from "./a.ts";\n', clean)))).toEqual([
      "core/a.ts",
      "core/b.ts",
      "core/a.ts",
    ]);
  });

  test("an import that points up", () => {
    expect(upwardImports(importGraph(clean), rank)).toEqual([]);
    for (const text of ['import "../rpc/c.ts";\n', 'export type { C } from "../rpc/c.ts";\n']) {
      const graph = importGraph(withFile("core/b.ts", text, clean));
      expect(upwardImports(graph, rank)).toEqual(["core/b.ts imports rpc/c.ts"]);
    }
  });

  test("a folder that is no layer", () => {
    const graph = importGraph(withFile("utils/x.ts", 'import "../core/a.ts";\n', clean));
    expect(() => upwardImports(graph, rank)).toThrow("src/utils belongs to no layer");
  });

  test("an import of nothing, or of something outside", () => {
    expect(brokenImports(importGraph(clean))).toEqual([]);
    const text = 'import "./gone.ts";\nimport "../../test/support/harness.ts";\n';
    expect(brokenImports(importGraph(withFile("core/b.ts", text, clean)))).toEqual([
      "core/b.ts imports core/gone.ts",
      "core/b.ts imports ../test/support/harness.ts",
    ]);
  });

  test("a package, and a module of the runtime where it has no place", () => {
    const allowed = (path: string) => allowedNodeModules[layerOf(path)];
    const faults = new Map([
      ["core/a.ts", 'import "node:crypto";\nimport "node:net";\n'],
      ["rpc/c.ts", 'import { WebSocket } from "ws";\n'],
      ["adapters/d.ts", 'import "node:net";\n'],
    ]);
    expect(foreignImports(faults, allowed)).toEqual(["core/a.ts imports node:net", "rpc/c.ts imports ws"]);
  });

  test("a file beside the entry points", () => {
    const tree = withFile("helpers.ts", "");
    expect(strangersAtTheTop(tree, entryPoints())).toContain("helpers.ts");
    expect(strangersAtTheTop(withFile("rpc/helpers.ts", ""), entryPoints())).not.toContain("helpers.ts");
  });

  test("a base name that stands twice", () => {
    expect(namesUsedTwice(clean)).toEqual([]);
    expect(namesUsedTwice(withFile("protocol/deep/a.ts", "", clean))).toEqual(["a.ts"]);
  });

  test("a constant that stands twice", () => {
    const first = withFile("core/b.ts", "export const TAG_BYTES = 16;\nconst SIZE = 65_536;\n", clean);
    expect(constantsDefinedTwice(withFile("rpc/c.ts", "const SIZE = 65_537;\n", first))).toEqual([]);
    const second = withFile("rpc/c.ts", "const SIZE: number = 0x10000;\nconst TAG_BYTES = OTHER;\n", first);
    expect(constantsDefinedTwice(second)).toEqual(["SIZE = 65536"]);
  });

  test("a file that is too long", () => {
    const lines = (count: number) => "// line\n".repeat(count);
    expect(longFiles(withFile("core/b.ts", lines(MOST_LINES), clean), MOST_LINES)).toEqual([]);
    expect(longFiles(withFile("core/b.ts", lines(MOST_LINES + 1), clean), MOST_LINES)).toEqual(["core/b.ts"]);
  });

  test("a function that is too long", () => {
    const body = (lines: number) => "    run();\n".repeat(lines - 2);
    const tree = (lines: number) =>
      new Map([
        [
          "core/d.ts",
          `// Text.\nclass D {\n  of() {\n${body(lines)}  }\n}\nconst f = () => {\n${body(9)}};\n`,
        ],
      ]);
    expect(longFunctions(tree(MOST_FUNCTION_LINES), MOST_FUNCTION_LINES)).toEqual([]);
    expect(longFunctions(tree(MOST_FUNCTION_LINES + 1), MOST_FUNCTION_LINES)).toEqual(["core/d.ts: of"]);
    const arrow = new Map([["e.ts", `const f = () => {\n${body(MOST_FUNCTION_LINES + 1)}};\n`]]);
    expect(longFunctions(arrow, MOST_FUNCTION_LINES)).toEqual(["e.ts: f"]);
  });

  test("a function that V8 makes among its old objects", () => {
    const lines = (...texts: string[]) =>
      new Map([
        ["rpc/d.ts", `class D {\n  #f = () => this;\n  constructor() {\n${texts.join("\n")}\n  }\n}\n`],
      ]);
    const none = [
      "const f = () => this;",
      "this.#f = f;",
      "this.g = { h: () => this, i() {} };",
      "run(() => this);",
      "if (this.g === (() => 0)) run();",
    ];
    expect(tenuredFunctions(lines(...none))).toEqual([]);
    for (const one of [
      "this.#f = () => this;",
      "a.f ??= function () {};",
      "a[0] = async () => this;",
      "a.f = (() => 0) as F;",
      "const o = { get f() { return this; } };",
      "const C = class {};",
    ])
      expect(tenuredFunctions(lines(...none, one)), one).toHaveLength(1);
    expect(tenuredFunctions(new Map([["rpc/d.ts", "exports.f = () => 0;\n"]]))).toEqual([]);
  });

  test("a call of a function that may be a test's fake", () => {
    const one = (line: string) =>
      new Map([["rpc/d.ts", `${line}\n// performance.now()\n/** setTimeout() */\n`]]);
    for (const line of [
      "performance.now();",
      "setTimeout(f, 1);",
      "await new Promise((f) => setImmediate(f));",
    ])
      expect(fakeableCalls(one(line)), line).toHaveLength(1);
    for (const line of [
      "now();",
      "loop.setTimeout(f, 1);",
      "originalQueueMicrotask(f);",
      "setTimeout: startTimer,",
    ])
      expect(fakeableCalls(one(line)), line).toEqual([]);
  });

  test("a name in another case", () => {
    const good = [
      "a/frameCipher.ts",
      "x.test.ts",
      "aes256Tables.gen.js",
      "main.js",
      "a-folder/b.ts",
      "x-y.json",
    ];
    expect(namesInAnotherCase(good)).toEqual([]);
    const bad = ["a/frame-cipher.ts", "frame_cipher.js", "FrameCipher.ts", "frame-cipher.test.ts"];
    expect(namesInAnotherCase(bad)).toEqual(bad);
  });
});

describe("src", () => {
  test("has files, and one for every entry point", () => {
    expect(src.size).toBeGreaterThan(40);
    expect(entryPoints().length).toBeGreaterThan(5);
    expect([...src.keys()]).toEqual(expect.arrayContaining(entryPoints()));
  });

  test("imports point one way", () => {
    expect(upwardImports(srcGraph, rank)).toEqual([]);
  });

  test("every import exists, inside of src", () => {
    expect(brokenImports(srcGraph)).toEqual([]);
  });

  test("has no cycles", () => {
    expect(findCycle(srcGraph)).toBeUndefined();
  });

  test("uses no package, and modules of the runtime only where a layer may", () => {
    expect(foreignImports(src, (path) => allowedNodeModules[layerOf(path)])).toEqual([]);
  });

  test("one file names the exports of each wasm module", () => {
    // The module that unpacks the core is instantiated, used and dropped by one file.
    const unpacks = fileWith(src, "unpacker)");
    const others = new Map([...src].filter(([path]) => path !== unpacks));
    // Beside the file that instantiates the core, one other reads what it exports.
    const instantiates = fileWith(others, "new WebAssembly.Instance(");
    const users = [...others].filter(([, text]) => /\.exports\b/.test(text)).map(([path]) => path);
    const readers = users.filter((path) => path !== instantiates);
    expect(readers).toHaveLength(1);
    expect([unpacks, instantiates, ...readers].map(layerOf)).toEqual(["core", "core", "core"]);
  });

  test("entry points stand at its top, and nothing else", () => {
    expect(strangersAtTheTop(src, entryPoints())).toEqual([]);
  });

  test("no base name stands twice", () => {
    expect(namesUsedTwice(src)).toEqual([]);
  });

  test("no number has two definitions by one name", () => {
    expect(constantsDefinedTwice(src)).toEqual([]);
  });

  test(`no file has more than ${MOST_LINES} lines but for a few with a reason`, () => {
    expect(longFiles(src, MOST_LINES).sort()).toEqual(Object.keys(longerWithReason).sort());
  });

  test(`no function has more than ${MOST_FUNCTION_LINES} lines but for a few with a reason`, () => {
    expect(longFunctions(src, MOST_FUNCTION_LINES).sort()).toEqual(Object.keys(longerFunctions).sort());
  });

  test("the time and later turns come from one file, so that no test's fakes reach the library", () => {
    const library = [...src].filter(([path]) => !["otel", "entry", "cli"].includes(layerOf(path)));
    const users = fakeableCalls(new Map(library));
    // `poll` of Deno's loop declares functions of these names.
    expect(users.filter((user) => !/^core\/(eventLoop|denoPolls)\.ts/.test(user))).toEqual([]);
  });

  test("no function is made among V8's old objects, where it would hold what it captured", () => {
    expect([...new Set(tenuredFunctions(src))].sort()).toEqual(Object.keys(tenuredWithReason).sort());
  });
});

describe("assembly", () => {
  const tree = new Map([...readTree("assembly")].filter(([path]) => !path.endsWith(".d.ts")));
  const graph = importGraph(tree);

  test("imports stay inside assembly and exist, and nothing imports index.ts", () => {
    expect(brokenImports(graph)).toEqual([]);
    expect([...graph].filter(([, targets]) => targets.includes("index.ts"))).toEqual([]);
  });

  test("has no cycles", () => {
    expect(findCycle(graph)).toBeUndefined();
  });
});

test("file names are in camel case, everywhere", () => {
  const folders = ["assembly", "bench", "demo", "examples", "scripts", "src", "test"];
  const paths = folders.flatMap((folder) =>
    readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: "utf8" }).map(
      (path) => `${folder}/${path.replaceAll("\\", "/")}`,
    ),
  );
  expect(namesInAnotherCase(paths)).toEqual([]);
});
