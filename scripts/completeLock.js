// Adds to package-lock.json the optional platform packages (esbuild, rollup, bun, … for other systems) that a
// registry mirror did not have when a dependency was added. Without them `npm ci` calls the lock file out of
// step. The entries carry no integrity; npm takes that from the registry on the systems that need them.
// `--check` only reports, for tests.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));

const systems = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const systemAliases = { windows: "win32" };
const processors = [
  "arm",
  "arm64",
  "ia32",
  "loong64",
  "mips64el",
  "ppc64",
  "riscv64",
  "s390x",
  "wasm32",
  "x64",
];
const processorAliases = { aarch64: "arm64" };
const libraries = { gnu: "glibc", gnueabihf: "glibc", glibc: "glibc", musl: "musl", musleabihf: "musl" };

/** The restrictions that a platform package's name states, as npm writes them. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = words.map((word) => systemAliases[word] ?? word).filter((word) => systems.includes(word));
  const cpu = words.map((word) => processorAliases[word] ?? word).filter((word) => processors.includes(word));
  const libc = words.map((word) => libraries[word]).filter((word) => word !== undefined);
  if (os.length === 0 && cpu.length === 0) throw new Error(`no platform in the name ${name}; add it by hand`);
  return { ...(cpu.length && { cpu }), ...(os.length && { os }), ...(libc.length && { libc }) };
}

/** True where `name` resolves for the package at `path`, as Node looks it up. */
function resolves(path, name) {
  for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf("/node_modules/"))) {
    if (lock.packages[`${folder}/node_modules/${name}`] !== undefined) return true;
    if (!folder.includes("/node_modules/")) return lock.packages[`node_modules/${name}`] !== undefined;
  }
}

const added = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (resolves(path, name)) continue;
    if (!/^\d+\.\d+\.\d+/.test(version))
      throw new Error(`${name}@${version}: not an exact version; add it by hand`);
    lock.packages[`node_modules/${name}`] = { version, dev: true, optional: true, ...platformOf(name) };
    added.push(`${name}@${version}`);
  }
}

if (process.argv.includes("--check")) {
  if (added.length > 0) {
    console.error(`package-lock.json lacks ${added.join(", ")}; run node scripts/completeLock.js`);
    process.exit(1);
  }
} else if (added.length > 0) {
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  );
  writeFileSync(file, JSON.stringify(lock, null, 2) + "\n");
  console.log(`added ${added.length}: ${added.join(", ")}`);
}
