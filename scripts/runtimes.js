// The runtimes of tests, benches and `npm start`: the machine's Node, a current Node, Bun and Deno. Each is resolved by
// path, never through the PATH of npm scripts. Versions are read from the binaries.
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

/** Where a runtime may be, the likelier path first; `packaged` where the lock file brings it to this system. */
const candidates = [
  { role: "node", label: "the machine's Node", paths: [machineNode()], args: [] },
  {
    role: "node-current",
    label: "the current Node (tools/node-current)",
    // The package for macOS on arm64 has a name of another form.
    paths: [inPackage(`node-${platform}`, "bin/node"), inPackage(`node-bin-${platform}`, "bin/node")],
    args: [],
    packaged: ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].includes(platform),
  },
  // bun's install script moves the platform package's binary into its own folder; without it, it stays.
  {
    role: "bun",
    label: "Bun",
    paths: [inPackage(`@oven/bun-${bunPlatform}`, "bin/bun"), inPackage("bun", "bin/bun.exe")],
    args: ["run"],
    packaged: ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].includes(platform),
  },
  {
    role: "deno",
    label: "Deno",
    paths: [inPackage(`@deno/${denoPlatform}`, "deno")],
    args: ["run", "-A", "--no-config"],
    packaged: ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].includes(platform),
  },
];

/** What `path` says its version is; throws where it does not run on this system. */
function version(path) {
  const text = execFileSync(path, ["--version"], { encoding: "utf8", timeout: 20_000, stdio: "pipe" });
  const found = /\d+\.\d+\.\d+/.exec(text)?.[0];
  if (found === undefined) throw new Error(`it answers ${JSON.stringify(text.slice(0, 80))} to --version`);
  return found;
}

/** The first of these paths whose binary runs here, with its version, or why there is none. */
function firstThatStarts(paths) {
  let reason = `not installed on ${platform}`;
  for (const path of paths.filter((candidate) => candidate !== undefined)) {
    try {
      return { path, answer: version(path) };
    } catch (error) {
      reason = `${path} does not start: ${error.message}`;
    }
  }
  return { reason };
}

/**
 * @typedef {{ id: string, roles: string[], label: string, path: string, args: string[], version: string }} Runtime
 * id: "node20" (its real major), "bun" or "deno"; roles: other names it is asked for by ("node" is the machine's,
 * "node-current" the newest).
 * @typedef {{ role: string, reason: string, packaged: boolean }} MissingRuntime packaged: `npm ci` brings it to this
 * system, so that its absence is a fault of the installation.
 */

/**
 * Looks for every candidate.
 *
 * @param {typeof candidates} wanted
 * @returns {{ found: Runtime[], missing: MissingRuntime[] }}
 */
export function probe(wanted = candidates) {
  const found = [];
  const missing = [];
  for (const { role, label, paths, args, packaged = false } of wanted) {
    const { path, answer, reason } = firstThatStarts(paths);
    if (path === undefined) {
      missing.push({ role, reason: `${label}: ${reason}`, packaged });
      continue;
    }
    const isNode = role.startsWith("node");
    const major = answer.split(".")[0];
    const id = isNode ? `node${major}` : role;
    const same = found.find((runtime) => runtime.id === id);
    if (same === undefined) {
      found.push({ id, roles: [role], label: isNode ? `Node ${major}` : label, path, args, version: answer });
    } else {
      // The machine's Node is as new as the current one: one row, no gap.
      same.roles.push(role);
    }
  }
  return { found, missing };
}

let probed;

/**
 * Every runtime that is installed, with its real version: the id and the label of a Node are those of the major that
 * it really has, so that a row that says "Node 20" is Node 20.
 *
 * @returns {Runtime[]}
 */
export function runtimes() {
  probed ??= probe();
  return probed.found.map((runtime) => ({ ...runtime }));
}

/**
 * One of each kind: the first Node, Bun, Deno. For tests whose cost is the start of processes; what differs between two
 * versions of Node, the suites look at.
 *
 * @returns {Runtime[]}
 */
export function runtimeKinds() {
  const all = runtimes();
  const firstNode = all.find(({ id }) => id.startsWith("node"));
  return all.filter((runtime) => runtime === firstNode || !runtime.id.startsWith("node"));
}

/**
 * The runtimes that have no rows here, with the reason to print.
 *
 * @returns {MissingRuntime[]}
 */
export function missingRuntimes() {
  probed ??= probe();
  return probed.missing;
}

/** True where `name` is the runtime's id or one of its roles. */
export function isNamed(runtime, name) {
  return runtime.id === name || runtime.roles.includes(name);
}
