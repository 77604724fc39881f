// `npm run test:watch -- rpc/timers [--runtime bun]` runs one suite in one runtime, and again whenever a file of the
// suite changes. A change in assembly/ compiles the module first. A change ends a run that has not finished.
import { spawn } from "node:child_process";
import { rmSync, watch } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { context } from "esbuild";
import { bundleOptions, runnerPath, suiteEntries, suitePath } from "./bundleSuites.js";
import { runSuite } from "./runSuite.js";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Editors write a file in several steps: so long after the last one the module is compiled. */
const SETTLE_MS = 200;

/** Calls `onBundled` after every build that has no errors. */
const afterEachBuild = (onBundled) => ({
  name: "after each build",
  setup({ onEnd }) {
    onEnd(({ errors }) => {
      if (errors.length === 0) onBundled();
    });
  },
});

/** Compiles the module when a source of it changes; the suite's build sees the result by itself. */
function watchAssembly() {
  let timer;
  let compiling;
  const compile = () => {
    compiling?.kill();
    compiling = spawn(process.execPath, [join(root, "scripts/buildWasm.js")], { stdio: "inherit" });
  };
  watch(join(root, "assembly"), (_event, file) => {
    if (!file?.endsWith(".ts")) return;
    clearTimeout(timer);
    timer = setTimeout(compile, SETTLE_MS);
  });
}

/**
 * Never returns: the process ends by Ctrl-C.
 *
 * @param {string} name
 * @param {import("./runtimes.js").Runtime} runtime
 * @param {string} [filter] only tests whose name contains this
 */
export async function watchSuite(name, runtime, filter) {
  const folder = join(root, "build/watch");
  rmSync(folder, { recursive: true, force: true });
  let underWay;

  async function run() {
    underWay?.abort();
    const own = new AbortController();
    underWay = own;
    console.log(`\n${name} · ${runtime.label} (${runtime.version})`);
    const cases = await runSuite(runtime, suitePath(name, folder), {
      echo: true,
      filter,
      runner: runnerPath(folder),
      signal: own.signal,
    });
    if (own.signal.aborted) return;
    const count = (status) => cases.filter((result) => result.status === status).length;
    console.log(`${count("pass")} passed, ${count("fail")} failed; waiting for changes`);
  }

  const options = bundleOptions(suiteEntries([name]), folder);
  const building = await context({ ...options, plugins: [afterEachBuild(run)] });
  await building.watch();
  watchAssembly();
}
