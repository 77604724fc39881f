// The time that importing sealwire adds to the start of a program: reading it, and decoding, compiling and
// instantiating the WebAssembly module. The control is the same program without the import.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Starts of each program, in turns; the fastest counts, because whatever disturbs makes a start slower. */
const STARTS = 15;
const TIMEOUT_MS = 30_000;

const program = fileURLToPath(new URL("../worker/importTime.js", import.meta.url));
const entryOf = (runtime) =>
  new URL(`../../../dist/${runtime.id.replace(/\d+$/, "")}.js`, import.meta.url).href;

function start(runtime, modules) {
  const output = execFileSync(runtime.path, [...runtime.args, program, ...modules], {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    env: { ...process.env, NODE_NO_WARNINGS: "1", NO_COLOR: "1" },
  });
  return JSON.parse(output);
}

export function imports({ pool, progress, results }) {
  for (const runtime of pool.runtimes) {
    progress.step(`importing, ${runtime.label}`);
    try {
      const least = { bare: {}, importing: {} };
      for (let i = 0; i < STARTS; i++) {
        for (const [which, modules] of Object.entries({ bare: [], importing: [entryOf(runtime)] })) {
          for (const [name, value] of Object.entries(start(runtime, modules))) {
            least[which][name] = Math.min(least[which][name] ?? Number.POSITIVE_INFINITY, value);
          }
        }
      }
      const { bare, importing } = least;
      results.push({
        section: "imports",
        contender: "sealwire",
        client: runtime.id,
        server: runtime.id,
        bareMs: bare.ms,
        addedMs: importing.ms - bare.ms,
        addedCpuMs: importing.cpuMs - bare.cpuMs,
      });
    } catch (error) {
      pool.fail(`importing in ${runtime.label}`, error);
    }
  }
}
