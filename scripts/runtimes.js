// The four runtimes that tests, benches and `npm start` drive, each resolved by path and never through
// PATH lookups of npm scripts. Versions are read from the binaries themselves.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join, sep } from "node:path";

const require = createRequire(import.meta.url);

/** The machine's own `node`: first on PATH that is not inside a node_modules folder. */
function machineNode() {
  const binary = process.platform === "win32" ? "node.exe" : "node";
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder.split(sep).includes("node_modules")) continue;
    const path = join(folder, binary);
    if (existsSync(path)) return path;
  }
  return process.execPath;
}

/** The path of a file inside an installed package, or undefined where the package is not installed. */
function inPackage(name, file) {
  try {
    const path = join(dirname(require.resolve(`${name}/package.json`)), file);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

const platform = `${process.platform}-${process.arch}`;
const bunPlatform = platform.replace("arm64", "aarch64");
const denoPlatform = process.platform === "linux" ? `${platform}-glibc` : platform;

const candidates = [
  { id: "node20", label: "Node 20", path: machineNode(), args: [] },
  { id: "node26", label: "Node 26", path: inPackage(`node-${platform}`, "bin/node"), args: [] },
  // bun's install script moves the platform package's binary into its own folder; without it, it stays.
  {
    id: "bun",
    label: "Bun",
    path: inPackage(`@oven/bun-${bunPlatform}`, "bin/bun") ?? inPackage("bun", "bin/bun.exe"),
    args: ["run"],
  },
  {
    id: "deno",
    label: "Deno",
    path: inPackage(`@deno/${denoPlatform}`, "deno"),
    args: ["run", "-A", "--no-config"],
  },
];

function version(path) {
  const text = execFileSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 });
  return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? "unknown";
}

/**
 * Every runtime that is installed, with its real version. The first is labelled with the major that the
 * machine really has, so that a row that says "Node 20" is Node 20.
 *
 * @returns {{ id: string, label: string, path: string, args: string[], version: string }[]}
 */
export function runtimes() {
  return candidates
    .filter((runtime) => runtime.path !== undefined)
    .map((runtime) => {
      const found = version(runtime.path);
      const label = runtime.id.startsWith("node") ? `Node ${found.split(".")[0]}` : runtime.label;
      return { ...runtime, label, version: found };
    });
}

/** The ids that are expected but not installed, with the reason to print. */
export function missingRuntimes() {
  return candidates.filter((runtime) => runtime.path === undefined).map((runtime) => runtime.id);
}
