// Typed calls beside requests with bytes, the same JSON by hand, grpc-js, capnweb and tRPC: an echo of a small JSON object.
import { measureTyped } from "../../typed/measure.js";

export async function typed({ settings, pool, progress, results }) {
  // A slice is an echo with 64 outstanding, or with one: both are shorter than what a row of many messages needs.
  const { rounds, sliceMs, warmUpMs, filters } = settings;
  const how = { rounds, sliceMs: 2 * sliceMs, warmUpMs: 2 * warmUpMs, only: filters.contenders };
  for (const runtime of pool.runtimes) {
    progress.step(`typed calls, ${runtime.label}`);
    try {
      results.push(...(await measureTyped(runtime, how)));
    } catch (error) {
      pool.fail(`typed calls in ${runtime.label}`, error);
    }
  }
}
