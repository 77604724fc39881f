// `npm run check` checks format, lint and types in seconds. The arguments `lint` and `types` select a part.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const biome = (...args) => ["node_modules/@biomejs/biome/bin/biome", ...args, "--error-on-warnings"];
const tsc = (project) => ["node_modules/typescript/bin/tsc", "-p", project];

/** Every check: a title and the arguments of a Node program, by the name that asks for it. */
export const checks = {
  format: { title: "format and lint", programs: [biome("check")] },
  lint: { title: "lint", programs: [biome("lint")] },
  types: { title: "check types", programs: [tsc("."), tsc("assembly")] },
};

function run(args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status === 0;
}

/**
 * Runs a check to its end; true where nothing was found.
 *
 * @param {keyof typeof checks} name
 */
export function runCheck(name) {
  // A fresh checkout has no compiled module yet, which src/core imports.
  if (name === "types" && !existsSync(`${root}/src/core/wasmBinary.ts`) && !run(["scripts/buildWasm.js"])) {
    return false;
  }
  return checks[name].programs.map(run).every(Boolean);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !Object.hasOwn(checks, name));
  if (unknown.length > 0) throw new Error(`no check ${unknown}; there are: ${Object.keys(checks)}`);
  const names = asked.length > 0 ? asked : ["format", "types"];
  process.exitCode = names.map(runCheck).every(Boolean) ? 0 : 1;
}
