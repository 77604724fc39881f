import assert from "node:assert/strict";
import { named, onAfterEachTest, onUnfinishedTest, test } from "../harness.ts";

let hookFails = false;
onUnfinishedTest(() => "nothing has happened");
onAfterEachTest(() => assert.ok(!hookFails, "the hook found something"));

test("passes", () => {});
test("throws", () => assert.equal(1, 2));
test("rejects", async () => {
  await Promise.reject(new Error("rejected"));
});
test("leaves a rejection behind", () => {
  void Promise.reject(new Error("nobody caught this"));
});
test("throws in a callback", () => {
  setTimeout(() => {
    throw new Error("thrown later");
  }, 0);
});
test("hangs", { timeoutMs: 50 }, () => named("what never comes", new Promise(() => {})));
test("is skipped here", { only: [] }, () => assert.fail());
test("is skipped everywhere", { skip: "a reason" }, () => assert.fail());
test("passes after all that", () => {});
test("fails in the hook", () => {
  hookFails = true;
});
