// The rules of flow control and call life, searched state by state. In any order of events, nothing waits for ever,
// every request gets exactly one end, and no credit is lost. Each planted fault is found.

import assert from "node:assert/strict";
import { FlowModel } from "../../model/flowModel.ts";
import { plantedFaults, scenarios } from "../../model/scenarios.ts";
import { search } from "../../model/search.ts";
import { inShare } from "../../support/every.ts";
import { test } from "../../support/harness.ts";

const MAX_STATES = 60_000;

for (const [i, scenario] of scenarios.entries()) {
  test(`no order of events deadlocks or loses an end: ${scenario.name}`, inShare(i), () => {
    const { finding, complete, ends, states } = search(new FlowModel(scenario), MAX_STATES);
    assert.equal(finding, undefined, JSON.stringify(finding));
    assert.ok(complete, `all of more than ${states} states were seen`);
    assert.ok(ends > 0);
  });
}

for (const [i, [fault, name, expected]] of plantedFaults.entries()) {
  test(`planted and found: ${fault}`, inShare(i), () => {
    const scenario = scenarios.find((candidate) => candidate.name === name)!;
    const { finding } = search(new FlowModel(scenario, fault), MAX_STATES);
    assert.match(finding?.what ?? "nothing was found", expected);
    assert.ok(finding!.trace.length > 0);
  });
}

test("a handler that calls back deeper than there are handlers waits for good: the application's cycle", () => {
  const scenario = {
    ...scenarios[0]!,
    messages: [[], []] as const,
    calls: [
      { from: 0, cost: 1 },
      { from: 1, cost: 1, madeBy: 0 },
      { from: 0, cost: 1, madeBy: 1 },
    ] as const,
  };
  assert.match(search(new FlowModel(scenario), MAX_STATES).finding?.what ?? "", /never settles/);
  // What ends it is a deadline, which is a cancel by the clock.
  const [first, ...rest] = scenario.calls;
  const withDeadline = { ...scenario, calls: [first, ...rest.map((call) => ({ ...call, mayCancel: true }))] };
  assert.equal(search(new FlowModel(withDeadline), MAX_STATES).finding, undefined);
});
