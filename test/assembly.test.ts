// The addition of the build to the AssemblyScript compiler: `// @inline` above a function (scripts/inlineMarks.js).
// `npm run check` checks the types and the format of assembly/.
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { describe, expect, test } from "vitest";

const transform = fileURLToPath(new URL("../scripts/inlineMarks.js", import.meta.url));

/** The text form of a module, or what the compiler says instead. */
async function compile(source: string): Promise<string> {
  let output = "";
  const { error, stderr } = await asc.main(
    ["main.ts", "--textFile", "main.wat", "--runtime", "stub", "--transform", transform],
    {
      readFile: (name) => (name === "main.ts" ? source : null),
      writeFile: (_name, contents) => {
        output = String(contents);
      },
      listFiles: () => [],
    },
  );
  return error === null ? output : `${error.message}\n${stderr.toString()}`;
}

const callsAdd = (mark: string) => `
${mark}
function add(a: i32, b: i32): i32 {
  return a + b;
}
export function three(x: i32): i32 {
  return add(x, 3);
}`;

describe("// @inline", () => {
  test("does what the decorator does", async () => {
    expect(await compile(callsAdd("// nothing"))).toContain("call $main/add");
    const marked = await compile(callsAdd("// @inline"));
    expect(marked).toContain("i32.add");
    expect(marked).not.toContain("call $main/add");
    expect(marked).toBe(await compile(callsAdd("@inline")));
  });

  test("a mark that is misspelt, or stands above no function, fails the build", async () => {
    for (const source of [
      callsAdd("// @inlin"),
      callsAdd("// @inline please"),
      callsAdd("// @inline\n// Adds."),
      `${callsAdd("// nothing")}\n// @inline\nconst four: i32 = 4;`,
    ]) {
      expect(await compile(source)).toContain("main.ts: 1 marks but 0 functions");
    }
  });
});
