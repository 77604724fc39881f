// Listeners for a connection's end: one that is added before the end is called then, one that is added later is called
// at once.

import assert from "node:assert/strict";
import { linkedPair } from "../../../src/entry/memoryNetwork.ts";
import { tellEnded, whenEnded } from "../../../src/rpc/connectionEnds.ts";
import { test } from "../../support/harness.ts";
import { checkLeaksAfterEachTest, waitFor } from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

test("everybody is told once: before the end, while others are told, and behind it", () => {
  const connection = {};
  const told: string[] = [];
  whenEnded(connection, () => {
    told.push("first");
    whenEnded(connection, () => told.push("in between"));
  });
  whenEnded(connection, () => told.push("second"));
  assert.equal(told.length, 0);
  tellEnded(connection);
  assert.deepEqual(told, ["first", "in between", "second"]);
  whenEnded(connection, () => told.push("late"));
  assert.deepEqual(told.splice(0), ["first", "in between", "second", "late"]);
  tellEnded(connection);
  assert.equal(told.length, 0);
  whenEnded({}, () => told.push("another one"));
  assert.equal(told.length, 0);
});

for (const how of ["closed", "cut"] as const) {
  test(`whoever asks about a connection that was ${how} is told at once`, async () => {
    const pair = await linkedPair();
    const { connection } = pair;
    let early = 0;
    whenEnded(connection, () => early++);
    if (how === "cut") await pair.network.cut();
    else await pair.client.close();
    await waitFor(() => connection.state === "closed", "the end");
    assert.equal(early, 1);
    let late = 0;
    whenEnded(connection, () => late++);
    assert.deepEqual([early, late], [1, 1]);
    await pair.close();
  });
}
