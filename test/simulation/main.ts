// Runs worlds: main.js FROM SEEDS. It prints a line for each world that broke a promise, then the counts as a line of
// JSON. SIGINT and SIGTERM end it after the current world.

import { type FaultCounts, faultKinds } from "./network.ts";
import { runWorld } from "./world.ts";

const [from, seeds, stopAtFirst] = process.argv.slice(2).map(Number) as [number, number, number | undefined];
const total = {
  worlds: 0,
  faults: 0,
  delivered: 0,
  calls: 0,
  steps: 0,
  failed: [] as number[],
  fingerprint: 0,
  kinds: Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as FaultCounts,
};
// Errors are a large part of what happens here, and their stacks would cost as much: one world alone shows them.
Error.stackTraceLimit = seeds === 1 ? 30 : 0;
const TELL_EVERY_MS = 300_000;
let lastTold = Date.now();

const stray: string[] = [];
process.on("unhandledRejection", (error) => stray.push(`an unhandled rejection: ${(error as Error)?.stack}`));
process.on("uncaughtException", (error) => stray.push(`an uncaught exception: ${error.stack}`));

let stopped = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    stopped = true;
  });
}

for (let seed = from; seed < from + seeds && !stopped; seed++) {
  const report = await runWorld(seed);
  const violations = [...report.violations, ...stray.splice(0)];
  total.worlds++;
  for (const name of ["faults", "delivered", "calls", "steps"] as const) total[name] += report[name];
  for (const kind of faultKinds) total.kinds[kind] += report.kinds[kind];
  if (Date.now() - lastTold > TELL_EVERY_MS) {
    lastTold = Date.now();
    console.log(`${new Date().toISOString()} seed ${seed}: ${total.worlds} worlds, ${total.faults} faults`);
  }
  total.fingerprint = (Math.imul(total.fingerprint, 31) + report.fingerprint) | 0;
  if (process.env.SEALWIRE_WORLDS !== undefined) console.log(JSON.stringify({ ...report, violations }));
  if (violations.length === 0) continue;
  total.failed.push(seed);
  console.log(`seed ${seed}:`);
  for (const violation of violations) console.log(`  ${violation}`);
  if (stopAtFirst) break;
  // Its remains would be the next one's violations.
  if (violations.some((text) => /not over| left$|held$|exception/.test(text))) break;
}
console.log(JSON.stringify(total));
process.exit(total.failed.length === 0 ? 0 : 1);
