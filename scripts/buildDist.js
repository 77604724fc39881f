// Builds dist/ from src/ and build/*.wasm (run buildWasm.js first). Rollup makes the ES modules and tsc the
// declarations, with maps to src/; the raw wasm modules are copied.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import config from "../rollup.config.js";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
rmSync("dist", { recursive: true, force: true });

const bundle = await rollup(config);
const { output } = await bundle.write(config.output);
await bundle.close();

// The sources are beside dist/, so the maps hold none of them. Bun calls a map without this list invalid, and warns.
for (const { fileName } of output.filter(({ fileName }) => fileName.endsWith(".map"))) {
  const file = join("dist", fileName);
  const map = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...map, sourcesContent: map.sources.map(() => null) }));
}

// Only what the entry points reach is declared.
const declarations = {
  extends: "../tsconfig.json",
  compilerOptions: {
    noEmit: false,
    declaration: true,
    declarationMap: true,
    emitDeclarationOnly: true,
    rewriteRelativeImportExtensions: true,
    stripInternal: true,
    rootDir: "../src",
    outDir: "../dist/types",
  },
  include: [],
  files: [
    ...Object.values(config.input).filter((path) => path !== "src/cli/main.ts"),
    "src/core/abortSignal.ts",
  ].map((path) => `../${path}`),
};
writeFileSync("build/tsconfig.dist.json", JSON.stringify(declarations));
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "build/tsconfig.dist.json"], {
  stdio: "inherit",
});
/**
 * `Symbol.asyncDispose` for programs without the library that declares it; where one does, both say the same. Not in
 * src/: JSR takes no changes of global types, and Deno has it.
 */
const DISPOSABLE = `declare global {
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}
export {};
`;

/**
 * A declaration as programs compile it: tsc leaves the `.ts` of an import as it is, and names AbortSignal as if
 * every program had the DOM library or @types/node; src/core/abortSignal.ts has a type that needs neither.
 */
function forConsumers(text, path) {
  const imports = text.replace(/((?:from|import\()\s*["']\.[^"']*)\.ts(["'])/g, "$1.js$2");
  const code = imports.replace(/\/\*[\s\S]*?\*\//g, "");
  const own = path === "core/abortSignal.d.ts" || /import [^;]*\bAbortSignal\b/.test(code);
  const folders = path.split("/").length - 1;
  const up = folders === 0 ? "./" : "../".repeat(folders);
  const added = [];
  if (!own && /\bAbortSignal\b/.test(code)) {
    added.push(`import type { AbortSignal } from "${up}core/abortSignal.js";`);
  }
  if (code.includes("Symbol.asyncDispose")) added.push(`import "${up}disposable.js";`);
  // On the first line, which no map points to: the lines below stay where the map says.
  return added.length === 0 ? imports : `${added.join(" ")} ${imports}`;
}

/** The licence texts of the libraries that the bundles hold, each below its name and version. */
function bundledLicences(chunks) {
  const ids = chunks.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []));
  const folders = ids.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []);
  const texts = [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const own = new URL(`licences/${name.replace("/", "__")}.txt`, import.meta.url);
    // A package that ships no text has it in scripts/licences, from its repository.
    if (file === undefined && !existsSync(own)) throw new Error(`${name} (${license}) has no licence text`);
    const text = readFileSync(file === undefined ? own : join(folder, file), "utf8");
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return `The command line (dist/cli.js) contains these libraries.\n\n${texts.join("\n---\n\n")}`;
}

for (const name of readdirSync("dist/types", { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const file = join("dist/types", name);
  writeFileSync(file, forConsumers(readFileSync(file, "utf8"), name.replaceAll("\\", "/")));
}

writeFileSync("dist/types/disposable.d.ts", DISPOSABLE);

for (const name of ["sealwire.wasm", "sealwire.relaxed.wasm"]) copyFileSync(`build/${name}`, `dist/${name}`);

// The command line has no map: it would name paths of this machine, those of the libraries in it.
rmSync("dist/cli.js.map");
writeFileSync(
  "dist/cli.js",
  readFileSync("dist/cli.js", "utf8").replace(/\n\/\/# sourceMappingURL=.*\n?$/, "\n"),
);
chmodSync("dist/cli.js", 0o755);
writeFileSync("dist/LICENSES.txt", bundledLicences(output));

const entries = output
  .filter((chunk) => chunk.type === "chunk" && chunk.isEntry)
  .map((chunk) => chunk.fileName);
const bytes = output.reduce((sum, chunk) => sum + (chunk.type === "chunk" ? chunk.code.length : 0), 0);
console.log(
  `dist: ${entries.join(", ")}; ${Math.round(bytes / 1024)} KiB of JavaScript in ${output.length} files`,
);
