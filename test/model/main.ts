// `npm run model -- [states]`: searches the flow model at larger bounds than the tests do, up to so many states for each
// scenario (400,000), and walks by chance beyond them. Ends with 1 when it finds something.

import { FlowModel } from "./flowModel.ts";
import { enlarged, scenarios } from "./scenarios.ts";
import { search, walk } from "./search.ts";

const WALKS = 500;
const maxStates = Number(process.argv[2] ?? 400_000);

for (const scenario of scenarios.flatMap((one) => [one, enlarged(one)])) {
  const model = new FlowModel(scenario);
  const { states, ends, complete, finding } = search(model, maxStates);
  console.log(`${scenario.name}: ${states} states${complete ? "" : " (not all)"}, ${ends} ends`);
  if (finding !== undefined) fail(finding.what, finding.trace);
  for (let seed = 1; seed <= WALKS; seed++) {
    const trace = walk(model, seed);
    const last = trace.reduce((state, action) => model.after(state, action), model.start());
    const what = last.fault || model.unfinished(last);
    if (what !== "") fail(what, trace);
  }
}

function fail(what: string, trace: unknown): void {
  console.error(`  ${what}: ${JSON.stringify(trace)}`);
  process.exitCode = 1;
}
