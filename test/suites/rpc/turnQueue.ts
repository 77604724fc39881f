// Tasks at the end of a turn: tasks that throw, tasks that queue tasks, and turns without an end.

import assert from "node:assert/strict";
import { TurnQueue, type TurnTask } from "../../../src/rpc/turnQueue.ts";
import { test } from "../../support/harness.ts";

/** A runtime whose turns end when the test says so. */
class Turns {
  deferred: (() => void)[] = [];
  yielded: (() => void)[] = [];
  readonly queue = new TurnQueue({
    defer: (callback) => this.deferred.push(callback),
    yieldToEventLoop: (callback) => this.yielded.push(callback),
  });

  /** Ends the turn. */
  end(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }
}

function task(run: () => void, failures: unknown[] = []): TurnTask {
  return { endOfTurn: run, endOfTurnFailed: (error) => failures.push(error) };
}

test("a task that throws is told so itself and costs no other its turn", () => {
  const turns = new Turns();
  const ran: string[] = [];
  const failures: unknown[] = [];
  const others: unknown[] = [];
  const failure = new Error("from a task");
  const failing = task(() => {
    throw failure;
  }, failures);
  turns.queue.add(task(() => ran.push("first"), others));
  turns.queue.add(failing);
  turns.queue.add(task(() => ran.push("last"), others));
  turns.end();
  assert.deepEqual([ran, failures, others], [["first", "last"], [failure], []]);
  turns.queue.add(task(() => ran.push("next turn")));
  turns.end();
  assert.deepEqual(ran, ["first", "last", "next turn"]);
});

test("a task that throws when it is told so costs no other its turn either, and its error is reported", async () => {
  const turns = new Turns();
  const ran: string[] = [];
  const failure = new Error("from the report");
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const reported = new Promise((resolve) => process.once("uncaughtException", resolve));
  turns.queue.add({
    endOfTurn: () => {
      throw new Error("from a task");
    },
    endOfTurnFailed: () => {
      throw failure;
    },
  });
  turns.queue.add(task(() => ran.push("last")));
  try {
    turns.end();
    assert.deepEqual(ran, ["last"]);
    turns.queue.add(task(() => ran.push("next turn")));
    turns.end();
    assert.deepEqual(ran, ["last", "next turn"]);
    assert.equal(await reported, failure);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  }
});

test("one deferred call for all tasks of a turn; what tasks queue has a call of its own", () => {
  const turns = new Turns();
  const ran: number[] = [];
  for (let i = 0; i < 3; i++) {
    turns.queue.add(
      task(() => {
        ran.push(i);
        turns.queue.add(task(() => ran.push(10 + i)));
      }),
    );
  }
  assert.equal(turns.deferred.length, 1);
  turns.end();
  assert.deepEqual(ran, [0, 1, 2]);
  assert.equal(turns.deferred.length, 1);
  turns.end();
  assert.deepEqual(ran, [0, 1, 2, 10, 11, 12]);
  turns.end();
  assert.equal(ran.length, 6);
});

test("hurried from inside a task it runs nothing, and each task runs once", () => {
  const turns = new Turns();
  const ran: string[] = [];
  turns.queue.add(
    task(() => {
      ran.push("outer begins");
      turns.queue.add(task(() => ran.push("queued inside")));
      turns.queue.runNow();
      ran.push("outer ends");
    }),
  );
  turns.queue.add(task(() => ran.push("behind")));
  turns.queue.runNow();
  assert.deepEqual(ran, ["outer begins", "outer ends", "behind"]);
  turns.end();
  assert.deepEqual(ran, ["outer begins", "outer ends", "behind", "queued inside"]);
});

test("after 64 turns in a row without an event the event loop has its turn", () => {
  const turns = new Turns();
  const loop = (): void => turns.queue.add(task(loop));
  loop();
  for (let i = 0; i < 64; i++) {
    assert.deepEqual([turns.deferred.length, turns.yielded.length], [1, 0], `turn ${i}`);
    turns.end();
  }
  assert.deepEqual([turns.deferred.length, turns.yielded.length], [0, 1]);
  turns.yielded.pop()!();
  for (let i = 0; i < 64; i++) {
    assert.deepEqual([turns.deferred.length, turns.yielded.length], [1, 0], `turn ${i} of the second round`);
    turns.end();
  }
  assert.equal(turns.yielded.length, 1);
});

test("events of the system begin the count anew", () => {
  const turns = new Turns();
  const loop = (): void => turns.queue.add(task(loop));
  loop();
  for (let i = 0; i < 500; i++) {
    if (i % 60 === 59) turns.queue.eventSeen();
    turns.end();
  }
  assert.deepEqual([turns.deferred.length, turns.yielded.length], [1, 0]);
});
