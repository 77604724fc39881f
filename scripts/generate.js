// Writes the generated files of assembly/ from the generators beside them. A generator (*.gen.js) exports `target`, the
// name of a file, and `generate()`, its text, which is formatted as all files are. With --check this program writes
// nothing, and fails if a checked-in file differs.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const assembly = new URL("../assembly/", import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * What the formatter and its safe fixes make of a file of assembly/.
 *
 * @param {string} text
 * @param {string} target the file's name, which decides which rules are in force
 * @returns {string}
 */
export function formatted(text, target) {
  const biome = fileURLToPath(new URL("../node_modules/@biomejs/biome/bin/biome", import.meta.url));
  const args = [biome, "check", "--write", `--stdin-file-path=assembly/${target}`];
  return execFileSync(process.execPath, args, { cwd: root, encoding: "utf8", input: text });
}

/**
 * Every generator of assembly/.
 *
 * @returns {Promise<{ name: string, target: string, generate: () => string }[]>} generate: the formatted text
 */
export async function generators() {
  const found = [];
  for (const name of readdirSync(assembly).filter((file) => file.endsWith(".gen.js"))) {
    const { target, generate } = await import(new URL(name, assembly).href);
    found.push({ name, target, generate: () => formatted(generate(), target) });
  }
  return found;
}

async function main() {
  const check = process.argv.includes("--check");
  let stale = 0;
  for (const { target, generate } of await generators()) {
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
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
