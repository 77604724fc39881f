// No secret is left in the memory of either end where the two are of different runtimes: two of the pairs of `npm run
// secrets`, with the module's own AES, every runtime once. SEALWIRE_EVERY runs all pairs.
import { existsSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { bundle } from "../scripts/bundleSuites.js";
import { runtimes } from "../scripts/runtimes.js";
import { peerFolder, scanPair } from "../scripts/secrets/pair.js";

const PAIRS = ["node20-bun", "deno-node26"];
const all = runtimes();
const pairs = all.flatMap((server) => all.map((client) => ({ server, client })));
const isTried = (id: string) => process.env.SEALWIRE_EVERY === "1" || PAIRS.includes(id);
const tried = pairs.filter(({ server, client }) => isTried(`${server.id}-${client.id}`));
const isThere = existsSync("/proc/self/mem");

beforeAll(async () => {
  if (isThere) await bundle(["test/load/secretsPeer.ts"], peerFolder);
}, 60_000);

test("there is a pair to try", () => {
  expect(tried.length).toBeGreaterThan(0);
});

for (const { server, client } of tried) {
  test.skipIf(!isThere)(
    `${server.label} serves ${client.label}: neither has a secret left when they parted${isThere ? "" : " (skipped: no /proc/self/mem)"}`,
    async () => {
      const ends = await scanPair(server, client, "wasm");
      expect(ends.map(({ role, left }) => ({ role, left }))).toEqual([
        { role: "server", left: {} },
        { role: "client", left: {} },
      ]);
      // The psk and the plaintexts, and the keys of both directions: of the server's sessions, and of the client's.
      for (const { secrets } of ends) expect(secrets).toBeGreaterThanOrEqual(1 + 4 + 4);
    },
    120_000,
  );
}
