// `npm run ct -- [--seconds N] [--runtime node20,bun]` runs a Welch t-test in the manner of dudect over every primitive
// that takes secrets, in each runtime and build (test/ct). The exit code is 1 if a target leaks, or if a planted leak
// is not found. Run it alone on a quiet machine.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { isNamed, runtimes } from "./runtimes.js";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" }, runtime: { type: "string" } },
});
const root = fileURLToPath(new URL("..", import.meta.url));

/** The measurements with the build that the runtime takes, or with the plain one. */
async function bundle(plain) {
  const outfile = `${root}build/ct/${plain ? "plain" : "chosen"}.js`;
  const onlyPlain = {
    name: "plain",
    setup({ onLoad }) {
      onLoad({ filter: /\/instantiate\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        const contents = text.replace(
          "of moduleBuilds()",
          'of [...moduleBuilds()].filter(([name]) => name === "plain")',
        );
        if (contents === text) throw new Error("instantiate.ts chooses its build in another way now");
        return { contents: plain ? contents : text, loader: "ts" };
      });
    },
  };
  await build({
    absWorkingDir: root,
    entryPoints: ["test/ct/main.ts"],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    logLevel: "warning",
    plugins: [onlyPlain],
  });
  return outfile;
}

const names = values.runtime?.split(",");
const plain = await bundle(true);
const chosen = await bundle(false);
/** Node 20 takes the plain build by itself. */
const bundlesOf = ({ id }) => (id === "node20" ? [plain] : [plain, chosen]);
for (const runtime of runtimes()) {
  if (names !== undefined && !names.some((name) => isNamed(runtime, name))) continue;
  for (const path of bundlesOf(runtime)) {
    console.log(`${runtime.label} ${runtime.version}`);
    const { status } = spawnSync(runtime.path, [...runtime.args, path, values.seconds], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
}
