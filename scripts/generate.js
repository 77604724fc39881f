// Writes the generated files of assembly/ from the generators beside them (*.gen.js, each exporting `target`
// and `generate()`). With --check it writes nothing and fails when a checked-in file differs.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const assembly = new URL("../assembly/", import.meta.url);
const check = process.argv.includes("--check");
let stale = 0;

for (const name of readdirSync(assembly).filter((file) => file.endsWith(".gen.js"))) {
  const { target, generate } = await import(new URL(name, assembly).href);
  if (generate === undefined) continue; // a generator that writes its file itself
  const file = new URL(target, assembly);
  const text = generate();
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (check) {
    console.error(`assembly/${target} is stale: run node scripts/generate.js`);
    stale++;
  } else {
    writeFileSync(file, text);
    console.log(`assembly/${target} written`);
  }
}
process.exitCode = stale > 0 ? 1 : 0;
