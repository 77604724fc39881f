// The cost of an AEAD through each runtime's own API. Together with raw TCP's processor time it is the limit that an
// encrypted transport can reach in that runtime (the targets' "share of the limit").

/** Runs of each cipher; the fastest counts, as for everything that only disturbance makes slower. */
const RUNS = 9;

export async function aead({ pool, progress, results }) {
  for (const pair of pool.pairs(["raw"])) {
    const { client: runtime } = pair;
    progress.step(`the runtime's own ciphers, ${runtime.label}`);
    try {
      const { client } = await pool.connect(pair);
      const { ciphers, bytes } = await client.call("aead", { runs: RUNS });
      for (const { cipher, ns } of ciphers) {
        results.push({
          section: "aead",
          contender: "raw",
          cipher,
          client: runtime.id,
          server: runtime.id,
          bytes,
          ns,
        });
      }
    } catch (error) {
      pool.fail(`the ciphers of ${runtime.label}`, error);
    }
  }
}
