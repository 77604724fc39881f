import assert from "node:assert/strict";
import { test } from "../harness.ts";
import { countDown, signOf, Total } from "./planted.ts";

test("signOf", () => {
  assert.deepEqual([-1, 0, 1, 2].map(signOf), [-1, 0, 1, 1]);
});

test("Total", () => {
  const total = new Total();
  total.add(2);
  assert.equal(total.add(3), 5);
});

test("countDown", () => {
  assert.equal(countDown(3), "321");
});
