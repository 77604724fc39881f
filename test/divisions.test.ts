// No division depends on a secret, because its time could tell the secret. In the compiled module, no function that
// ML-KEM's operations reach divides, and neither does Keccak. The KyberSlash faults were divisions that a compiler had
// left in.
import { existsSync, readFileSync } from "node:fs";
import binaryen from "binaryen";
import { describe, expect, test } from "vitest";

const DIVISION = /\b(?:i32|i64)\.(?:div|rem)_[su]\b|\bf(?:32|64)(?:x\d)?\.(?:div|sqrt)\b/;
const CALL = /\((?:return_)?call (\$?[^\s()]+)/g;

interface Compiled {
  /** The text of each function by its name. */
  functions: Map<string, string>;
  /** The function behind each export. */
  exported: Map<string, string>;
}

/** A module taken apart: what each function says, in WebAssembly's text format. */
function takeApart(module: binaryen.Module): Compiled {
  const functions = new Map<string, string>();
  const text = module.emitText();
  // Every function begins a line with one space of indentation.
  for (const part of text.split(/\n (?=\()/)) {
    const name = /^\(func (\$?[^\s()]+)/.exec(part)?.[1];
    if (name !== undefined) functions.set(name, part);
  }
  const exported = new Map(
    [...text.matchAll(/\(export "([^"]+)" \(func (\$?[^\s()]+)\)\)/g)].map((match) => [match[1]!, match[2]!]),
  );
  return { functions, exported };
}

/** The functions with a division among those that the export reaches; calls through a table are not allowed. */
function divisionsBehind(
  { functions, exported }: Compiled,
  name: string,
): { reached: number; dividing: string[] } {
  const waiting = [exported.get(name)!];
  const reached = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    const text = functions.get(next);
    if (text === undefined) throw new Error(`${name} calls ${next}, which is not in the module`);
    if (text.includes("call_indirect")) throw new Error(`${next} calls through a table`);
    for (const [, called] of text.matchAll(CALL)) waiting.push(called!);
  }
  return {
    reached: reached.size,
    dividing: [...reached].filter((one) => DIVISION.test(functions.get(one)!)),
  };
}

describe("the check itself", () => {
  test("finds a division behind calls, and nothing where there is none", () => {
    const module = binaryen.parseText(`(module
      (func $deep (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 3329)))
      (func $middle (param i32) (result i32) (call $deep (local.get 0)))
      (func $outer (export "outer") (param i32) (result i32) (call $middle (local.get 0)))
      (func $clean (export "clean") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3329))))`);
    const compiled = takeApart(module);
    expect(divisionsBehind(compiled, "outer")).toEqual({ reached: 3, dividing: ["$deep"] });
    expect(divisionsBehind(compiled, "clean")).toEqual({ reached: 1, dividing: [] });
  });
});

describe.each(["sealwire.wasm", "sealwire.relaxed.wasm"])("%s", (file) => {
  const url = new URL(`../build/${file}`, import.meta.url);
  const compiled = existsSync(url)
    ? takeApart(binaryen.readBinary(new Uint8Array(readFileSync(url))))
    : undefined;

  test.each(["mlKem768KeyGen", "mlKem768Encaps", "mlKem768Decaps", "sponge"])(
    "%s divides nowhere",
    (name) => {
      expect(compiled, "build/ is not there: npm run build").toBeDefined();
      const { reached, dividing } = divisionsBehind(compiled!, name);
      expect(dividing).toEqual([]);
      expect(reached).toBeGreaterThan(1);
    },
  );

  test("the tables, which are public, are where the divisions are", () => {
    // They are made when the module starts, behind no export: so the search above did not just miss them.
    expect([...compiled!.functions.values()].some((text) => DIVISION.test(text))).toBe(true);
  });
});
