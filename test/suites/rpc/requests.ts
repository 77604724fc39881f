// The numbers of requests: parity, wrap-around at 2^32, and those that are still in flight.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/index.ts";
import { PendingCall } from "../../../src/rpc/call.ts";
import { PendingRequest } from "../../../src/rpc/pendingRequest.ts";
import { RequestTable } from "../../../src/rpc/requests.ts";
import { test } from "../../support/harness.ts";

/** A table and a way to put requests in; rejections are collected instead of thrown. */
function makeTable(first: 1 | 2, limit = 100_000) {
  const abandoned: number[] = [];
  const table = new RequestTable(first, limit, false, (sequence) => abandoned.push(sequence));
  const rejected: string[] = [];
  const add = (): PendingRequest => {
    const request = new PendingRequest(table, undefined, 0);
    request.settling.catch((error) => rejected.push(error.code));
    table.add(request);
    return request;
  };
  return { table, add, abandoned, rejected };
}

for (const first of [1, 2] as const) {
  const side = first === 1 ? "client" : "server";

  test(`${side}: numbers start at ${first} and keep their parity`, () => {
    const { add } = makeTable(first);
    for (let i = 0; i < 1_000; i++) assert.equal(add().sequence, first + 2 * i);
  });

  test(`${side}: after 2^32 they start again, never at 0`, () => {
    const { table, add } = makeTable(first);
    const last = 0xfffffffe + (first === 1 ? 1 : 0);
    table.startAtForTests(last - 6);
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      const { sequence } = add();
      seen.push(sequence);
      assert.ok(table.take(sequence) !== undefined);
    }
    assert.deepEqual(seen, [last - 6, last - 4, last - 2, last, first, first + 2, first + 4, first + 6]);
  });

  test(`${side}: numbers still in flight are skipped after the wrap-around`, () => {
    const { table, add } = makeTable(first);
    const held = [add(), add(), add()];
    table.take(held[1]!.sequence);
    table.startAtForTests(0xfffffffe + (first === 1 ? 1 : 0));
    const next = [add(), add(), add()].map((request) => request.sequence);
    assert.equal(next[0], 0xfffffffe + (first === 1 ? 1 : 0));
    assert.deepEqual(next.slice(1), [first + 2, first + 6]);
    assert.equal(table.size, 5);
    assert.equal(table.take(first), held[0]);
    assert.equal(table.take(first + 4), held[2]);
  });

  test(`${side}: many in flight across the wrap-around, answered in any order`, () => {
    const { table, add } = makeTable(first);
    table.startAtForTests(0xffffff00 + (first === 1 ? 1 : 0));
    const requests = Array.from({ length: 3_000 }, add);
    assert.equal(new Set(requests.map((request) => request.sequence)).size, 3_000);
    for (const request of requests) {
      assert.ok(request.sequence > 0 && request.sequence <= 0xffffffff);
      assert.equal(request.sequence & 1, first & 1);
    }
    for (let i = 0; i < 3_000; i++) {
      const request = requests[(i * 1_777) % 3_000]!;
      assert.equal(table.take(request.sequence), request);
      assert.equal(table.take(request.sequence), undefined);
    }
    assert.equal(table.size, 0);
  });
}

test("unknown numbers, full tables, giving up", async () => {
  const { table, add, abandoned, rejected } = makeTable(1, 3);
  const [one, two, three] = [add(), add(), add()];
  assert.equal(table.full, true);
  assert.equal(table.take(99), undefined);
  assert.equal(table.take(0), undefined);
  // The same slot of the table, another number.
  assert.equal(table.take(one!.sequence + 128), undefined);
  table.abandon(two!, new SealwireError("ERR_ABORTED", "given up"));
  table.abandon(two!, new SealwireError("ERR_ABORTED", "given up twice"));
  await Promise.resolve();
  assert.deepEqual([abandoned, rejected], [[3], ["ERR_ABORTED"]]);
  assert.equal(table.full, false);
  table.rejectAll(() => new SealwireError("ERR_CLOSED", "the end"));
  await Promise.resolve();
  assert.deepEqual(rejected, ["ERR_ABORTED", "ERR_CLOSED", "ERR_CLOSED"]);
  assert.deepEqual([table.size, three!.sequence], [0, 5]);
});

/** A signal that counts its listeners. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const counts = { added: 0, removed: 0 };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      counts.added++;
      add(...args);
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      counts.removed++;
      remove(...args);
    },
  });
  return { controller, signal, counts };
}

test("one signal for many requests has one listener, and none when all are settled", async () => {
  const { controller, signal, counts } = countedSignal();
  const { table, add, abandoned, rejected } = makeTable(1);
  for (let round = 1; round <= 3; round++) {
    const requests = Array.from({ length: 100 }, () => add());
    for (const request of requests) request.watch(signal);
    assert.deepEqual(counts, { added: round, removed: round - 1 });
    for (const [i, request] of requests.entries()) {
      table.take(request.sequence);
      if (i % 2 === 0) request.resolve(new Uint8Array(0));
      else request.reject(new SealwireError("ERR_CONNECTION_LOST", "lost"));
    }
    assert.deepEqual(counts, { added: round, removed: round });
  }
  rejected.length = 0;
  const settled = add();
  const waiting = Array.from({ length: 20 }, () => add());
  for (const request of [settled, ...waiting]) request.watch(signal);
  table.take(settled.sequence)!.resolve(new Uint8Array(0));
  await Promise.resolve();
  rejected.length = 0;
  controller.abort("enough");
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(rejected, Array(20).fill("ERR_ABORTED"));
  assert.deepEqual(
    abandoned,
    waiting.map((request) => request.sequence),
  );
  assert.equal(counts.added, counts.removed);
  assert.equal(table.size, 0);
});

test("the peer says that a call's deadline has passed before this side's timer does: the same error as from the timer", async () => {
  const { table } = makeTable(1);
  const outcome = async (timeoutMs: number, waitMs: number, remoteCode: string, notBegun = false) => {
    const call = new PendingCall(table, undefined, timeoutMs, { maxFrameBytes: 1, maxPendingBytes: 1 });
    table.add(call);
    const end = performance.now() + waitMs;
    while (performance.now() < end);
    call.reject(new SealwireError("ERR_REMOTE", "theirs", { remoteCode, notBegun }));
    const error = await call.settling.then(
      () => assert.fail("resolved"),
      (caught: SealwireError) => caught,
    );
    table.take(call.sequence);
    return [error.code, error.notBegun];
  };
  assert.deepEqual(await outcome(10, 12, "ERR_REQUEST_TIMEOUT"), ["ERR_REQUEST_TIMEOUT", false]);
  assert.deepEqual(await outcome(10, 12, "ERR_REQUEST_TIMEOUT", true), ["ERR_REQUEST_TIMEOUT", true]);
  assert.deepEqual(await outcome(10, 12, "GONE"), ["ERR_REMOTE", false]);
  // Too early: it is a limit of the peer's.
  assert.deepEqual(await outcome(60_000, 0, "ERR_REQUEST_TIMEOUT"), ["ERR_REMOTE", false]);
  assert.deepEqual(await outcome(0, 0, "ERR_REQUEST_TIMEOUT"), ["ERR_REMOTE", false]);
});
