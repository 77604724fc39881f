// The build puts exported numbers in place of their names (scripts/inlineNumbers.js), and nothing else.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rollup } from "rollup";
import { afterAll, expect, test } from "vitest";
import { inlineNumbers } from "../scripts/inlineNumbers.js";

const folder = mkdtempSync(join(tmpdir(), "sealwire-numbers-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The text of a program that imports from these files. */
async function built(program: string, files: Record<string, string>): Promise<string> {
  for (const [name, text] of Object.entries({ ...files, "main.js": program }))
    writeFileSync(join(folder, name), text);
  const bundle = await rollup({
    input: join(folder, "main.js"),
    external: /numbers|passes/,
    plugins: [inlineNumbers(folder)],
  });
  const { output } = await bundle.generate({ format: "es" });
  await bundle.close();
  return output[0].code;
}

const numbers =
  "export const LENGTH_BYTES = 4;\nexport const MANY_BYTES = 65_536;\nexport const TEXT = 'x';\n";

test("numbers stand in place of their names, also of those that a file passes on", async () => {
  const passes = 'export {\n  // the first\n  LENGTH_BYTES,\n  MANY_BYTES,\n} from "./numbers.js";\n';
  const program = `import { LENGTH_BYTES as BYTES } from "./numbers.js";
    import { MANY_BYTES } from "./passes.js";
    export const sum = (a) => a[BYTES] + MANY_BYTES;`;
  const code = await built(program, { "numbers.js": numbers, "passes.js": passes });
  expect(code).toMatch(/a\[4 +\] \+ 65_536/);
  expect(code).not.toContain("BYTES");
});

test("properties of the same name stay, and so do short names, texts and numbers of a file's own", async () => {
  const program = `import { LENGTH_BYTES, TEXT, MANY_BYTES as M } from "./numbers.js";
    const OWN_BYTES = 7;
    export const all = (o) => [o.LENGTH_BYTES, { LENGTH_BYTES: OWN_BYTES }, { LENGTH_BYTES }, TEXT, M];`;
  const code = await built(program, { "numbers.js": numbers });
  expect(code).toContain("[o.LENGTH_BYTES, { LENGTH_BYTES: OWN_BYTES }, { LENGTH_BYTES }, TEXT, MANY_BYTES]");
});
