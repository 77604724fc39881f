// The functions of a source tree that do not fit a screen.
import { createRequire } from "node:module";
import type { SourceTree } from "./sourceTree.ts";

type TypeScript = typeof import("typescript-5.4");
type Node = import("typescript-5.4").Node;
// The compiler of the current version has no API for programs.
const ts = createRequire(import.meta.url)("typescript-5.4") as TypeScript;

/** Every function of more than `most` lines, as "path: name". */
export function longFunctions(tree: SourceTree, most: number): string[] {
  return [...tree].flatMap(([path, text]) => {
    if (!mayHaveOne(text, most)) return [];
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line;
    const found: string[] = [];
    const visit = (node: Node): void => {
      if (ts.isFunctionLike(node) && lineOf(node.end) - lineOf(node.getStart(file)) >= most)
        found.push(`${path}: ${nameOf(node) ?? nameOf(node.parent) ?? "?"}`);
      ts.forEachChild(node, visit);
    };
    visit(file);
    return found;
  });
}

const TYPE_OR_CLASS = /^\s*(export )?(default )?(abstract )?(class|interface|type) /;
/** A signature has fewer lines than this beside the one that opens the body. */
const SIGNATURE_LINES = 15;

/**
 * Whether a block is long enough, by the indentation of formatted code: it ends at the next line that is indented as
 * little as its first one. Parsing takes far longer than this.
 */
function mayHaveOne(text: string, most: number): boolean {
  const lines = text.split("\n");
  const opened: { indent: number; at: number }[] = [];
  for (const [at, line] of lines.entries()) {
    const indent = line.search(/\S/);
    if (indent < 0) continue;
    while (opened.length > 0 && opened.at(-1)!.indent >= indent) {
      const first = opened.pop()!.at;
      if (at - first >= most - SIGNATURE_LINES && !TYPE_OR_CLASS.test(lines[first]!)) return true;
    }
    opened.push({ indent, at });
  }
  return false;
}

function nameOf(node: Node): string | undefined {
  const { name } = node as { name?: Node };
  return name?.getText();
}
