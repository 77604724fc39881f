import { test } from "../harness.ts";

test("leaves a timer behind", () => {
  setInterval(() => {}, 1_000);
});
