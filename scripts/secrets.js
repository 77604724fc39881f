// npm run secrets -- [--pairs all|node20-bun,deno-node26] [--engine wasm,auto]: a server and a client in processes of two
// runtimes (server first) talk in every way, part well and badly, and each looks through all of its own memory that it can write for the
// psk, the keys of both directions and the plaintext. Fails for whatever the library could have wiped; what the runtimes
// leave behind themselves (docs/SECURITY.md) is told. Linux only. test/secretsPairs.test.ts runs two pairs of it.
import { parseArgs } from "node:util";
import { bundle } from "./bundleSuites.js";
import { isNamed, runtimes } from "./runtimes.js";
import { peerFolder, scanPair } from "./secrets/pair.js";

const { values } = parseArgs({
  options: { pairs: { type: "string", default: "all" }, engine: { type: "string", default: "wasm,auto" } },
});

/** Pairs of server and client. */
function chosenPairs() {
  const found = runtimes();
  const named = (name) => {
    const runtime = found.find((one) => isNamed(one, name));
    if (runtime === undefined) throw new Error(`no runtime ${name}`);
    return runtime;
  };
  if (values.pairs === "all") return found.flatMap((server) => found.map((client) => [server, client]));
  return values.pairs.split(",").map((pair) => pair.split("-").map(named));
}

const list = (found) => (Object.keys(found).length === 0 ? "nothing" : JSON.stringify(found));

await bundle(["test/load/secretsPeer.ts"], peerFolder);
let failures = 0;
for (const engine of values.engine.split(",")) {
  for (const [server, client] of chosenPairs()) {
    const ends = await scanPair(server, client, engine);
    for (const { role, label, left, byRuntime } of ends) {
      if (Object.keys(left).length > 0) failures++;
      const rest = Object.keys(byRuntime).length === 0 ? "" : `; the runtime's own: ${list(byRuntime)}`;
      console.log(
        `${engine}, ${server.label} serves ${client.label}, ${role} (${label}): ${list(left)}${rest}`,
      );
    }
  }
}
console.log(failures === 0 ? "nothing of the library's is left" : `${failures} ends have something left`);
process.exit(failures === 0 ? 0 : 1);
