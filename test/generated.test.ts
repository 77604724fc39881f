// The generated files of assembly/ are checked in. They must equal the current output of the generators beside them.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { generators } from "../scripts/generate.js";

const assembly = new URL("../assembly/", import.meta.url);
const found = await generators();

describe("generated code", () => {
  test("the generators are found", () => {
    expect(found.map(({ name }) => name)).toContain("blake2bCompress.gen.js");
  });

  test.each(found)("$name has been run", ({ target, generate }) => {
    expect(readFileSync(new URL(target, assembly), "utf8")).toBe(generate());
  });
});
