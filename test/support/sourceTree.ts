// The source as a graph of files and imports, and the checks of test/architecture.test.ts. A check takes a tree and
// returns the offenders, so that it can be tried on a tree with a planted fault.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { posix } from "node:path/posix";
import { repositoryRoot } from "./vectors.ts";

/** The text of every file, by its path below the folder that was read, with forward slashes. */
export type SourceTree = ReadonlyMap<string, string>;

/** Written by the build and not committed. */
const GENERATED = /^core\/wasmBinary\.ts$/;

/** The TypeScript files below a folder of the repository. */
export function readTree(folder: string): SourceTree {
  const paths = readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts") && !GENERATED.test(path))
    .sort();
  return new Map(paths.map((path) => [path, readFileSync(join(repositoryRoot, folder, path), "utf8")]));
}

/** The one file whose text has `mark`, as a path below the tree's folder. */
export function fileWith(tree: SourceTree, mark: string): string {
  const found = [...tree].filter(([, text]) => text.includes(mark)).map(([path]) => path);
  if (found.length !== 1) throw new Error(`"${mark}" stands in ${found.length} files: ${found.join(", ")}`);
  return found[0]!;
}

/** What a file imports or re-exports, types included, as written. */
export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const statement = /^\s*(?:import|export)\s(?:[^;"']*?\sfrom\s*)?["']([^"']+)["']/gm;
  const dynamic = /\bimport\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statement), ...code.matchAll(dynamic)].map((match) => match[1]!);
}

/** Which files of the tree each file imports; a path that begins with ".." leaves the tree. */
export function importGraph(tree: SourceTree): Map<string, string[]> {
  const targets = (path: string, text: string) =>
    importsOf(text)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => posix.normalize(posix.join(posix.dirname(path), specifier)))
      // The imports of assembly/ have no extension.
      .map((target) => (target.endsWith(".ts") ? target : `${target}.ts`))
      .filter((target) => !GENERATED.test(target));
  return new Map([...tree].map(([path, text]) => [path, targets(path, text)]));
}

/** The first cycle of a graph as a path of names, or undefined. */
export function findCycle(graph: Map<string, string[]>): string[] | undefined {
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

/** Imports that leave the tree, and imports of files that do not exist. */
export function brokenImports(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, targets]) =>
    targets.filter((target) => !graph.has(target)).map((target) => `${path} imports ${target}`),
  );
}

/** Imports from a lower layer into a higher one; `rank` is a file's layer, the lowest first. */
export function upwardImports(graph: Map<string, string[]>, rank: (path: string) => number): string[] {
  return [...graph].flatMap(([path, targets]) =>
    targets
      .filter((target) => graph.has(target) && rank(target) > rank(path))
      .map((target) => `${path} imports ${target}`),
  );
}

/** Imports of packages and of the runtime's modules that `allowed` of the importing file does not match. */
export function foreignImports(tree: SourceTree, allowed: (path: string) => RegExp | undefined): string[] {
  return [...tree].flatMap(([path, text]) =>
    importsOf(text)
      .filter((specifier) => !specifier.startsWith(".") && !allowed(path)?.test(specifier))
      .map((specifier) => `${path} imports ${specifier}`),
  );
}

/** Files at the top of the tree that are no entry point. */
export function strangersAtTheTop(tree: SourceTree, entryPoints: readonly string[]): string[] {
  return [...tree.keys()].filter((path) => !path.includes("/") && !entryPoints.includes(path));
}

/** Base names that stand more than once in the tree. */
export function namesUsedTwice(tree: SourceTree): string[] {
  const names = [...tree.keys()].map((path) => posix.basename(path));
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))].sort();
}

/** Files of more than `limit` lines. */
export function longFiles(tree: SourceTree, limit: number): string[] {
  const lines = (text: string) => text.trimEnd().split("\n").length;
  return [...tree].filter(([, text]) => lines(text) > limit).map(([path]) => path);
}

/** Source files whose names are not in camel case; one suffix before the extension (`.test`, `.gen`, `.d`) is. */
export function namesInAnotherCase(paths: readonly string[]): string[] {
  return paths.filter(
    (path) => /\.[jt]s$/.test(path) && !/^[a-z][a-zA-Z0-9]*(\.[a-z]+)?\.[jt]s$/.test(posix.basename(path)),
  );
}

/** A path of the repository in backticks: below one of its folders, with an extension or a slash at its end. */
const NAMED_FILE = /`((?:assembly|bench|demo|docs|scripts|src|test|tools)\/[\w./-]*(?:\.\w+|\/))`/g;
/** The target of a Markdown link that is neither an address nor a place on the same page. */
const LINKED_FILE = /\]\((?!\w+:|#)([^)#\s]+)[^)]*\)/g;
/** A file name alone in backticks. */
const BARE_NAME = /`(\w+(?:\.gen)?\.ts)`/g;
/** What the build and the bench write. */
const WRITTEN = /^(bench\/results|src\/core\/wasmBinary)/;

/** Files that a document names or links to and that do not exist, as paths below the repository. */
export function missingFiles(text: string, documentPath: string): string[] {
  const linked = [...text.matchAll(LINKED_FILE)].map(([, target]) =>
    posix.normalize(posix.join(posix.dirname(documentPath), target!)),
  );
  const named = [...text.matchAll(NAMED_FILE)].map((match) => match[1]!);
  return [...named, ...linked].filter(
    (path) => !WRITTEN.test(path) && !existsSync(join(repositoryRoot, path)),
  );
}

/** File names that a document gives without their folder and that are no file of the tree, or several. */
export function unclearNames(text: string, tree: SourceTree): string[] {
  const bases = [...tree.keys()].map((path) => posix.basename(path));
  const named = [...text.matchAll(BARE_NAME)].map((match) => match[1]!);
  return named.filter((name) => bases.filter((base) => base === name).length !== 1);
}

/** Constants that several files define by the same number: the second one should import the first. */
export function constantsDefinedTwice(tree: SourceTree): string[] {
  const files = new Map<string, number>();
  for (const text of tree.values()) {
    const defined = [...text.matchAll(/^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: \w+)? = ([\w.]+);/gm)];
    for (const [, name, value] of defined) {
      const number = Number(value!.replaceAll("_", ""));
      if (!Number.isNaN(number))
        files.set(`${name} = ${number}`, (files.get(`${name} = ${number}`) ?? 0) + 1);
    }
  }
  return [...files].filter(([, count]) => count > 1).map(([definition]) => definition);
}

/** Calls of global functions that a test library may replace with fakes. `startTimer` and its like are no such calls. */
export function fakeableCalls(tree: SourceTree): string[] {
  const call =
    /\b(?:performance\.now|Date\.now|process\.nextTick)\(|(?<![.\w])(?:set|clear)(?:Timeout|Interval|Immediate)\(|(?<![.\w])queueMicrotask\(/g;
  return [...tree].flatMap(([path, text]) => {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    return [...code.matchAll(call)].map(([found]) => `${path}: ${found.slice(0, -1)}`);
  });
}
