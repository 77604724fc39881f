// `ct/main.js SECONDS` measures each target for so many seconds and prints a line of JSON for each.

import { wasmBuild } from "../../src/core/instantiate.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";
import { CERTAIN_T, largestT, SUSPICIOUS_T } from "./welch.ts";

const seconds = Number(process.argv[2] ?? 2);
const BATCH = 400;
const WARM_UP = 300;

/** Fewer measurements say nothing: a target that takes so long has to be measured for longer. */
const LEAST_MEASUREMENTS = BATCH;

function measure({ calls, prepare, run }: Target): [number[], number[]] {
  const times: [number[], number[]] = [[], []];
  const input = new Uint8Array(prepare(0).length);
  const once = (bytes: Uint8Array): number => {
    input.set(bytes);
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) run(input);
    return Number(process.hrtime.bigint() - start);
  };
  for (let i = 0; i < WARM_UP; i++) once(prepare((i & 1) as 0 | 1));
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    const classes = Array.from(crypto.getRandomValues(new Uint8Array(BATCH)), (byte) => (byte & 1) as 0 | 1);
    const inputs = classes.map(prepare);
    for (let i = 0; i < BATCH; i++) times[classes[i]!].push(once(inputs[i]!));
  }
  return times;
}

let wrong = 0;
for (const target of targets()) {
  const times = measure(target);
  const t = largestT(times);
  const found = t > CERTAIN_T;
  const measurements = times[0].length + times[1].length;
  if (found !== (target.leaks ?? false) || measurements < LEAST_MEASUREMENTS) wrong++;
  const verdict = found ? "leaks" : t > SUSPICIOUS_T ? "measure longer" : "nothing found";
  console.log(
    JSON.stringify({
      build: wasmBuild(),
      target: target.name,
      measurements,
      t: Number(t.toFixed(2)),
      verdict,
    }),
  );
}
process.exit(wrong === 0 ? 0 : 1);
