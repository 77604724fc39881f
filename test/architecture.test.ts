// The direction of imports (STYLE: assembly → core → protocol → rpc → adapters → entry points) and the absence
// of cycles, read from the source.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Lower layers first: a file imports from its own layer, from those before it, and from the leaves. */
const layers = ["leaf", "core", "protocol", "rpc", "adapters", "entry", "cli"] as const;
type Layer = (typeof layers)[number];

const leaves = ["errors.ts", "constants.ts", "options.ts"];
/** Modules of the runtime that a layer may use; everything else in src/ is plain JavaScript. */
const allowedNodeModules: Record<Layer, RegExp | undefined> = {
  leaf: undefined,
  core: /^node:crypto$/,
  protocol: undefined,
  rpc: undefined,
  adapters: /^node:/,
  entry: /^node:/,
  cli: /^node:/,
};

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith("wasm-binary.ts"))
    .map((path) => path.replaceAll("\\", "/"));
}

/** What a file imports or re-exports, types included, as written. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const statement = /^\s*(?:import|export)\s(?:[^;"']*?\sfrom\s*)?["']([^"']+)["']/gm;
  const dynamic = /\bimport\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statement), ...code.matchAll(dynamic)].map((match) => match[1]!);
}

function layerOf(path: string): Layer {
  if (leaves.includes(path)) return "leaf";
  const folder = path.split("/")[0]!;
  if (!path.includes("/")) return "entry";
  const layer = layers.find((name) => name === folder);
  if (layer === undefined)
    throw new Error(`src/${folder} belongs to no layer; name it in test/architecture.test.ts`);
  return layer;
}

/** The files that `path` imports, as paths below `folder`; assembly's imports have no extension. */
function localImports(folder: string, path: string): string[] {
  const text = readFileSync(join(root, folder, path), "utf8");
  return importsOf(text)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => normalize(join(dirname(path), specifier)).replaceAll("\\", "/"))
    .map((target) => (target.endsWith(".ts") ? target : `${target}.ts`))
    .filter((target) => !target.endsWith("wasm-binary.ts"));
}

/** The first cycle of a graph as a path of names, or undefined. */
function findCycle(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, trail: string[]): string[] | undefined => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...trail, node]);
      if (cycle !== undefined) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

describe("the checks themselves", () => {
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
  });
});

describe("src", () => {
  const files = sourceFiles("src");
  const graph = new Map(files.map((path) => [path, localImports("src", path)]));

  test("has files", () => {
    expect(files).toContain("errors.ts");
  });

  test("imports point one way", () => {
    const violations: string[] = [];
    for (const [path, targets] of graph) {
      const layer = layers.indexOf(layerOf(path));
      for (const target of targets) {
        if (target.startsWith("..")) violations.push(`${path} imports ${target}, outside of src`);
        else if (layers.indexOf(layerOf(target)) > layer) violations.push(`${path} imports ${target}`);
      }
    }
    expect(violations).toEqual([]);
  });

  test("every import exists", () => {
    const missing = [...graph].flatMap(([path, targets]) =>
      targets.filter((target) => !graph.has(target)).map((target) => `${path} imports ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test("has no cycles", () => {
    expect(findCycle(graph)).toBeUndefined();
  });

  test("uses no package, and modules of the runtime only where a layer may", () => {
    const violations = files.flatMap((path) => {
      const allowed = allowedNodeModules[layerOf(path)];
      return importsOf(readFileSync(join(root, "src", path), "utf8"))
        .filter((specifier) => !specifier.startsWith(".") && !allowed?.test(specifier))
        .map((specifier) => `${path} imports ${specifier}`);
    });
    expect(violations).toEqual([]);
  });

  test("one file names the exports of the wasm module", () => {
    const users = files.filter((path) => /\.exports\b/.test(readFileSync(join(root, "src", path), "utf8")));
    expect(users.filter((path) => path !== "core/crypto.ts" && path !== "core/wasm.ts")).toEqual([]);
  });
});

describe("assembly", () => {
  const files = sourceFiles("assembly");
  const graph = new Map(files.map((path) => [path, localImports("assembly", path)]));

  test("imports stay inside assembly, and nothing imports index.ts", () => {
    const violations = [...graph].flatMap(([path, targets]) =>
      targets
        .filter((target) => target.startsWith("..") || target === "index.ts")
        .map((target) => `${path} imports ${target}`),
    );
    expect(violations).toEqual([]);
  });

  test("has no cycles", () => {
    expect(findCycle(graph)).toBeUndefined();
  });
});
