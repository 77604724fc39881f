// The head of every result: the machine, the versions, the date.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { join } from "node:path";
import { pageTouchUs } from "./memory.js";

const require = createRequire(import.meta.url);
const PACKAGES = [
  "ws",
  "protomux-rpc",
  "@hyperswarm/secret-stream",
  "@grpc/grpc-js",
  "capnweb",
  "@trpc/server",
];

/** The version of an installed package, read beside its entry point: not every package exports its package.json. */
function packageVersion(name) {
  try {
    const entry = require.resolve(name);
    const folder = entry.slice(
      0,
      entry.lastIndexOf(join("node_modules", name)) + join("node_modules", name).length,
    );
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
  } catch {
    return "unknown";
  }
}

function commit() {
  const cwd = new URL(".", import.meta.url);
  try {
    const run = (...args) =>
      execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return (
      run("rev-parse", "--short", "HEAD") +
      (run("status", "--porcelain", "-uno") === "" ? "" : " with changes")
    );
  } catch {
    return undefined;
  }
}

/** The sentence about the machine in the head of a result. Older runs did not measure what a page costs. */
export function machineNote({
  cpu,
  cores,
  memoryGiB,
  system,
  loadAtStart,
  pageTouchUs: touchUs,
  keepsMemory,
}) {
  const touch = touchUs === undefined ? "" : `; the first touch of a page of memory took ${touchUs} µs`;
  const kept = keepsMemory ? "; allocators kept freed memory (--keep-memory)" : "";
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, load ${loadAtStart} at the start${touch}${kept}`;
}

/**
 * @param {{ id: string, label: string, version: string }[]} runtimes
 * @param {{ keepMemory: boolean }} settings
 */
export function describeMachine(runtimes, { keepMemory }) {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return {
    date: new Date().toISOString(),
    sealwire: version,
    commit: commit(),
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    loadAtStart: Number(os.loadavg()[0].toFixed(2)),
    pageTouchUs: pageTouchUs(),
    keepsMemory: keepMemory,
    runtimes: runtimes.map(({ id, label, version: found }) => ({ id, label, version: found })),
    packages: Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(name)])),
  };
}
