// Typed calls beside others in one runtime. One process has both ends of each contender, so its processor time is that
// of both together. Rounds of all contenders alternate, and each contender is checked before it is timed.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const TIMEOUT_MS = 600_000;
const worker = fileURLToPath(new URL("worker.js", import.meta.url));

/** For the runtime's own switches: the heap is collected between samples where a program may ask for it. */
function argumentsOf({ id }) {
  if (id === "deno") return ["run", "-A"];
  return id.startsWith("node") ? ["--expose-gc"] : [];
}

/**
 * @param {{ id: string, path: string }} runtime
 * @param {{ rounds: number, sliceMs: number, warmUpMs: number, only?: string[] }} how `only`: contenders of the matrix
 * @returns {Promise<object[]>} results of the section "typed", one for each contender that this runtime has
 */
export async function measureTyped(runtime, how) {
  const args = [...argumentsOf(runtime), worker, runtime.id, JSON.stringify({ only: [], ...how })];
  const options = {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    env: { ...process.env, NODE_NO_WARNINGS: "1", NO_COLOR: "1" },
  };
  const { stdout } = await promisify(execFile)(runtime.path, args, options);
  return JSON.parse(stdout.split("\n").find((line) => line.startsWith("["))).map((row) => ({
    section: "typed",
    client: runtime.id,
    server: runtime.id,
    ...row,
  }));
}
