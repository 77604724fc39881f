// Generated files of assembly/ are checked in beside their generators: they must be what those write today.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

interface Generator {
  name: string;
  target: string;
  generate: () => string;
}

const assembly = new URL("../assembly/", import.meta.url);
const generators: Generator[] = [];
for (const name of readdirSync(assembly).filter((file) => file.endsWith(".gen.js"))) {
  // A generator without these two has a test of its own.
  const { target, generate } = await import(new URL(name, assembly).href);
  if (typeof generate === "function") generators.push({ name, target, generate });
}

describe("generated code", () => {
  test("the generators are found", () => {
    expect(generators.map(({ name }) => name)).toContain("blake2bCompress.gen.js");
  });

  test.each(generators)("$name has been run", ({ target, generate }) => {
    expect(readFileSync(new URL(target, assembly), "utf8")).toBe(generate());
  });
});
