// What closingOwnPath does where no socket can show it: a listener that can't be closed, and what Deno would ask about.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { modulesLoading } from "../../../src/adapters/nodeModules.ts";
import { closingOwnPath } from "../../../src/adapters/ownPath.ts";
import { test } from "../../support/harness.ts";

await modulesLoading();

/** A path at which another file is than the one that `closing` began with; `close` is given what is there. */
async function replaced(
  close: (there: string[]) => void | Promise<void>,
  work: (closing: () => void | Promise<void>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
  const path = join(folder, "socket");
  try {
    writeFileSync(path, "own");
    const closing = closingOwnPath(path, () => close(readdirSync(folder)));
    writeFileSync(join(folder, "other"), "of others");
    renameSync(join(folder, "other"), path);
    await work(closing);
    assert.equal(readFileSync(path, "utf8"), "of others");
    assert.deepEqual(readdirSync(folder), ["socket"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [when, close] of [
  [
    "at once",
    () => {
      throw new Error("not closed");
    },
  ],
  ["later", () => Promise.reject(new Error("not closed"))],
] as const) {
  test(`a listener whose close fails ${when} leaves the files of others where they were`, () =>
    replaced(close, async (closing) => {
      // The second one, which waits for the first one, fails by itself.
      const both = await Promise.allSettled([closing(), closing()]);
      for (const { status } of both) assert.equal(status, "rejected");
      await assert.rejects(async () => closing(), /not closed/);
    }));
}

test("a file has another name only while the listener closes", () => {
  let seen: string[] = [];
  return replaced(
    (there) => {
      seen = there;
    },
    async (closing) => {
      await closing();
      assert.equal(seen.length, 1);
      assert.match(seen[0]!, /^socket\.\d+\.\d+$/);
    },
  );
});

test("what Deno would ask the user about is not tried", { only: ["deno"] }, () => {
  const { permissions } = (globalThis as unknown as { Deno: { permissions: object } }).Deno;
  let seen: string[] = [];
  return replaced(
    (there) => {
      seen = there;
    },
    async (closing) => {
      Object.defineProperty(permissions, "querySync", {
        value: ({ path }: { path: string }) => ({ state: path.endsWith("socket") ? "granted" : "prompt" }),
        configurable: true,
      });
      try {
        await closing();
      } finally {
        Reflect.deleteProperty(permissions, "querySync");
      }
      assert.deepEqual(seen, ["socket"]);
    },
  );
});
