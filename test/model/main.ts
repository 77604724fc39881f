// `npm run model -- [--deep] [states]` searches the flow model at larger bounds than the tests do, up to so many states
// for each scenario, walks at random beyond them, and looks for each planted fault. 400,000 states take less than two
// minutes. `--deep` tries 4,000,000 states and a still larger scenario. The exit code is 1 if the search finds
// something, or if a fault is not found.

import { type Action, FlowModel } from "./flowModel.ts";
import { enlarged, plantedFaults, scenarios } from "./scenarios.ts";
import { search, walk } from "./search.ts";

const WALKS = 500;
const SHALLOW_STATES = 400_000;
const DEEP_STATES = 4_000_000;

const words = process.argv.slice(2);
const isDeep = words.includes("--deep");
const asked = words.find((word) => /^\d+$/.test(word));
const maxStates = asked === undefined ? (isDeep ? DEEP_STATES : SHALLOW_STATES) : Number(asked);
const depth = isDeep ? 2 : 1;

let allStates = 0;
let allEnds = 0;

function fail(what: string, trace: readonly Action[]): void {
  console.error(`  ${what}: ${JSON.stringify(trace)}`);
  process.exitCode = 1;
}

for (const scenario of scenarios) {
  const sizes = [scenario];
  for (let i = 0; i < depth; i++) sizes.push(enlarged(sizes.at(-1)!));
  for (const one of sizes) {
    const model = new FlowModel(one);
    const { states, ends, complete, finding } = search(model, maxStates);
    console.log(`${one.name}: ${states} states${complete ? "" : " (not all)"}, ${ends} ends`);
    allStates += states;
    allEnds += ends;
    if (finding !== undefined) fail(finding.what, finding.trace);
    for (let seed = 1; seed <= WALKS; seed++) {
      const trace = walk(model, seed);
      const last = trace.reduce((state, action) => model.after(state, action), model.start());
      const what = last.fault || model.unfinished(last);
      if (what !== "") fail(what, trace);
    }
  }
}

for (const [fault, name, expected] of plantedFaults) {
  const scenario = scenarios.find((candidate) => candidate.name === name)!;
  const { states, finding } = search(new FlowModel(scenario, fault), maxStates);
  const found = finding !== undefined && expected.test(finding.what);
  console.log(`planted: ${fault}: ${found ? `found after ${states} states: ${finding.what}` : "NOT FOUND"}`);
  if (!found) fail(`${fault} was not found`, finding?.trace ?? []);
}

const seconds = Math.round(performance.now() / 1_000);
console.log(
  `${allStates} states, ${allEnds} ends, ${plantedFaults.length} planted faults, ${seconds} s` +
    (isDeep ? "" : "; --deep searches further"),
);
