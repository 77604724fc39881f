// Ways through the flow model (test/model), replayed by two real connections over a network in memory. In any order,
// everything settles, every permit is returned, and all credit is there at the end.

import assert from "node:assert/strict";
import { FlowModel } from "../../model/flowModel.ts";
import { Replay } from "../../model/replay.ts";
import { plantedFaults, scenarios } from "../../model/scenarios.ts";
import { search, walk } from "../../model/search.ts";
import { shared } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const WALKS = 6;

for (const scenario of scenarios) {
  test(`two ends go the model's ways: ${scenario.name}`, async () => {
    const model = new FlowModel(scenario);
    for (const seed of shared(Array.from({ length: WALKS }, (_, i) => i + 1))) {
      const trace = walk(model, seed);
      assert.ok(trace.length > 0);
      assert.deepEqual(await new Replay(scenario).run(trace), [], `seed ${seed}: ${JSON.stringify(trace)}`);
    }
  });
}

for (const [fault, name] of plantedFaults) {
  test(`what is wrong with "${fault}" goes well here`, async () => {
    const scenario = scenarios.find((candidate) => candidate.name === name)!;
    const { trace } = search(new FlowModel(scenario, fault), 60_000).finding!;
    assert.deepEqual(await new Replay(scenario).run(trace), [], JSON.stringify(trace));
  });
}
