import assert from "node:assert/strict";
import { invalidArgument, SealwireError } from "../../src/base/errors.ts";
import { test } from "../support/harness.ts";

test("SealwireError carries code, message, cause and the far side's code", () => {
  const cause = new Error("why");
  const error = new SealwireError("ERR_REMOTE", "what", { cause, remoteCode: "ERR_FAR" });
  assert.ok(error instanceof Error);
  assert.equal(error.name, "SealwireError");
  assert.equal(error.code, "ERR_REMOTE");
  assert.equal(error.message, "what");
  assert.equal(error.cause, cause);
  assert.equal(error.remoteCode, "ERR_FAR");
});

test("an error without a cause has no cause property", () => {
  const error = new SealwireError("ERR_CLOSED", "closed");
  assert.equal("cause" in error, false);
  assert.equal(error.remoteCode, undefined);
});

test("invalidArgument names the argument and what it must be", () => {
  const error = invalidArgument("port", "an integer from 0 to 65535");
  assert.equal(error.code, "ERR_INVALID_ARGUMENT");
  assert.equal(error.message, "port must be an integer from 0 to 65535");
});
