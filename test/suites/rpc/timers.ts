import assert from "node:assert/strict";
import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { once } from "node:events";
import * as net from "node:net";
import { CallbackDeadline, Deadline } from "../../../src/rpc/deadline.ts";
import { TIMER_TICK_MS, timers } from "../../../src/rpc/timers.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { sleep, waitFor } from "../../support/rpcHarness.ts";

onAfterEachTest(() => assert.equal(timers.size, 0));

/** Notes when it expired. */
class Noted extends Deadline {
  readonly #armedAt = performance.now();
  readonly ms: number;
  elapsedMs = -1;
  expirations = 0;

  constructor(ms: number) {
    super();
    this.ms = ms;
    timers.arm(this, ms);
  }

  override expire(): void {
    this.expirations++;
    this.elapsedMs = performance.now() - this.#armedAt;
  }
}

test("deadlines never fire early, and each once", async () => {
  const deadlines = Array.from({ length: 500 }, (_, i) => new Noted((i * 37) % 300));
  assert.equal(timers.size, 500);
  await waitFor(() => timers.size === 0, "all deadlines");
  for (const { ms, elapsedMs, expirations } of deadlines) {
    assert.equal(expirations, 1);
    assert.ok(elapsedMs >= ms, `${ms} ms fired after ${elapsedMs}`);
  }
});

test("an earlier deadline never fires after a later one of another tick", async () => {
  // When each was due: between these times, because the machine may stand still while one is armed.
  const order: { earliest: number; latest: number }[] = [];
  const delays = Array.from({ length: 40 }, (_, i) => ((i * 17) % 40) * 2 * TIMER_TICK_MS);
  for (const ms of delays) {
    const due = { earliest: performance.now() + ms, latest: 0 };
    timers.arm(new CallbackDeadline(() => order.push(due)), ms);
    due.latest = performance.now() + ms;
  }
  await waitFor(() => order.length === delays.length, "all deadlines");
  for (const [at, { earliest }] of order.entries())
    for (const { latest } of order.slice(at + 1))
      assert.ok(earliest < latest + TIMER_TICK_MS, `due at ${earliest}, fired before ${latest}`);
});

test("cancelled deadlines do not fire; cancelling twice is harmless", async () => {
  const deadlines = Array.from({ length: 100 }, (_, i) => new Noted(i % 60));
  const cancelled = deadlines.filter((_, i) => i % 3 === 0);
  for (const deadline of cancelled) {
    timers.cancel(deadline);
    timers.cancel(deadline);
    assert.equal(deadline.armed, false);
  }
  await waitFor(() => timers.size === 0, "the others");
  for (const deadline of deadlines) assert.equal(deadline.expirations, cancelled.includes(deadline) ? 0 : 1);
});

test("arming again replaces the old time", async () => {
  const deadline = new Noted(20);
  for (let i = 0; i < 5; i++) {
    timers.arm(deadline, 200);
    assert.equal(timers.size, 1);
  }
  await waitFor(() => timers.size === 0, "the deadline");
  assert.ok(deadline.elapsedMs >= 200);
  assert.equal(deadline.expirations, 1);
});

test("a deadline that arms itself again, further away than one turn of the wheel", async () => {
  const far = new CallbackDeadline(() => assert.fail("fired a whole turn early"));
  timers.arm(far, 1_024 * TIMER_TICK_MS + 60);
  let rounds = 0;
  const again = new CallbackDeadline(() => {
    if (++rounds < 5) timers.arm(again, 10);
  });
  timers.arm(again, 10);
  await waitFor(() => rounds === 5, "five rounds");
  await sleep(150);
  assert.equal(far.armed, true);
  timers.cancel(far);
});

test("a deadline that cancels or moves its neighbours while it fires leaves the others on time", async () => {
  // All of one tick, so neighbours in one list; each in turn is the one that disturbs.
  for (const disturb of ["cancel", "move"] as const) {
    for (let which = 0; which < 6; which++) {
      const fired: number[] = [];
      const start = performance.now();
      const deadlines: CallbackDeadline[] = [];
      for (let i = 0; i < 6; i++) {
        deadlines.push(
          new CallbackDeadline(() => {
            fired.push(i);
            if (i !== which) return;
            for (const other of [deadlines[which - 1], deadlines[which + 1]]) {
              if (other === undefined || !other.armed) continue;
              if (disturb === "cancel") timers.cancel(other);
              else timers.arm(other, 60);
            }
          }),
        );
      }
      const aligned = (Math.ceil(start / TIMER_TICK_MS) + 2) * TIMER_TICK_MS - start;
      for (const deadline of deadlines) timers.arm(deadline, aligned);
      await waitFor(() => timers.size === 0, `${disturb} around ${which}`);
      // Neighbours that had fired before can't be stopped; everybody else fired once.
      assert.equal(new Set(fired).size, fired.length);
      assert.ok(fired.length >= (disturb === "cancel" ? 4 : 6), `fired: ${fired}`);
      // Not a turn of the wheel (16 seconds) late. Generous: this is no measurement.
      assert.ok(performance.now() - start < 8_000, "a deadline was forgotten for a turn of the wheel");
    }
  }
});

/** Keeps the event loop from turning: longer than the wheel takes for an ordinary delay. */
function stall(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test("a random mix of near and far deadlines, moved and cancelled: each fires once, in time, or never", async () => {
  // Deterministic; virtual ages come from real ones: far ones are cancelled before their time.
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % below;
  };
  const near: Noted[] = [];
  const far: Deadline[] = [];
  for (let i = 0; i < 2_000; i++) {
    const kind = random(4);
    if (kind === 0) near.push(new Noted(random(400)));
    else if (kind === 1) {
      const deadline = new CallbackDeadline(() => assert.fail("a far one fired"));
      timers.arm(deadline, 15_000 + random(100_000));
      far.push(deadline);
    } else if (far.length > 0) {
      const deadline = far[random(far.length)]!;
      if (kind === 2) timers.cancel(deadline);
      else timers.arm(deadline, 10_000 + random(0x7fffffff - 10_000));
    }
    if (i % 500 === 0) await sleep(20);
  }
  await waitFor(() => near.every(({ expirations }) => expirations > 0), "the near ones");
  for (const { expirations, elapsedMs, ms } of near) {
    assert.equal(expirations, 1);
    assert.ok(elapsedMs >= ms);
  }
  for (const deadline of far) timers.cancel(deadline);
});

test("deadlines whose time begins at the end of a turn: each fires once, never early, or never", async () => {
  // Deterministic: what is done with each before its turn ends.
  const fates = ["nothing", "cancel", "arm", "quiet", "cancel and arm from the end"] as const;
  for (let turn = 0; turn < 4; turn++) {
    const fired = new Map<number, number>();
    const deadlines = Array.from({ length: 60 }, (_, i) => {
      const ms = i % 3 === 0 ? 20_000 : (i * 7) % 50;
      const deadline = new CallbackDeadline(() => {
        assert.ok(!fired.has(i), "once");
        fired.set(i, performance.now());
      });
      timers.armFromTurnEnd(deadline, ms);
      return { deadline, ms, fate: fates[i % fates.length]! };
    });
    assert.equal(timers.size, 60);
    for (const { deadline, ms, fate } of deadlines) {
      assert.equal(deadline.armed, true);
      if (fate.startsWith("cancel")) timers.cancel(deadline);
      if (fate === "arm") timers.arm(deadline, ms);
      if (fate === "quiet") timers.setQuiet(deadline, true);
      if (fate === "cancel and arm from the end") timers.armFromTurnEnd(deadline, ms);
    }
    assert.equal(timers.size, 48);
    // The turn takes longer than some of them.
    stall(30);
    const ended = performance.now();
    const time = timers.turnEnds()!;
    assert.ok(time >= ended && time <= performance.now(), "the time, which was needed");
    assert.equal(timers.turnEnds(), undefined);
    assert.equal(timers.size, 48);
    const due = deadlines.filter(({ ms, fate }) => ms < 20_000 && fate !== "cancel").length;
    await waitFor(() => fired.size === due, "those that are near");
    for (const [i, { ms, fate }] of deadlines.entries()) {
      const at = fired.get(i);
      if (at !== undefined && fate !== "arm")
        assert.ok(at >= ended + ms, `${ms} ms fired after ${at - ended}`);
    }
    for (const { deadline, ms, fate } of deadlines) {
      assert.equal(deadline.armed, ms === 20_000 && fate !== "cancel");
      timers.cancel(deadline);
      timers.setQuiet(deadline, false);
    }
    assert.equal(timers.size, 0);
  }
});

test("a deadline whose turn has not ended is no part of a sweep, and costs the others nothing", async () => {
  const late = new CallbackDeadline(() => assert.fail("its turn has not ended"));
  timers.armFromTurnEnd(late, 0);
  const others = [0, 20, 40].map((ms) => new Noted(ms));
  await waitFor(() => others.every(({ expirations }) => expirations === 1), "the others");
  assert.deepEqual([late.armed, timers.size], [true, 1]);
  timers.cancel(late);
  timers.turnEnds();
});

test("a hook of the application that cancels deadlines while their turn ends costs the wheel nothing", async () => {
  for (const which of [0, 1, 2]) {
    timers.rest();
    const fired: number[] = [];
    const deadlines = [0, 1, 2].map((i) => new CallbackDeadline(() => fired.push(i)));
    for (const deadline of deadlines) timers.armFromTurnEnd(deadline, 20);
    // Only Node runs it: when the runtime's timer is made.
    const hook = createHook({ init: () => timers.cancel(deadlines[which]!) }).enable();
    timers.turnEnds();
    hook.disable();
    timers.cancel(deadlines[which]!);
    assert.equal(timers.size, 2);
    await waitFor(() => fired.length === 2, "the other two");
    assert.deepEqual([timers.size, fired.includes(which)], [0, false]);
  }
});

test("with nothing due the process is not woken", async () => {
  const deadlines = [10_000, 12_345, 40_000, 3_600_000, 0x7fffffff].map((ms) => {
    const deadline = new CallbackDeadline(() => assert.fail("fired"));
    timers.arm(deadline, ms);
    return deadline;
  });
  const before = timers.wakeUps;
  await sleep(1_500);
  assert.equal(timers.wakeUps, before);
  for (const deadline of deadlines) timers.cancel(deadline);
});

test("a stream of short calls starts no timer for each, also when each empties the wheel", async () => {
  const deadline = new CallbackDeadline(() => assert.fail("fired"));
  for (const other of [undefined, new CallbackDeadline(() => assert.fail("fired"))]) {
    if (other !== undefined) timers.arm(other, 15_000);
    const started = timers.timersStarted;
    const wakeUps = timers.wakeUps;
    for (let i = 0; i < 20_000; i++) {
      timers.arm(deadline, 30_000);
      timers.cancel(deadline);
      if (i % 1_000 === 0) await sleep(1);
    }
    // A few per time that the timer fires, which it does at most once per tick.
    const allowed = 20 * (1 + timers.wakeUps - wakeUps);
    assert.ok(timers.timersStarted - started <= allowed, `${timers.timersStarted - started} timers started`);
    if (other !== undefined) timers.cancel(other);
  }
  timers.rest();
});

test("an empty wheel holds no timer: at once after a few deadlines, after rest() always", () => {
  // Deno's sanitizers and the end of the process see the runtime's timers, which Node lists.
  const count = (): number =>
    process.getActiveResourcesInfo?.().filter((name) => name === "Timeout").length ?? 0;
  timers.rest();
  const before = count();
  const deadline = new CallbackDeadline(() => {});
  timers.arm(deadline, 30_000);
  timers.cancel(deadline);
  assert.equal(count(), before);
  for (let i = 0; i < 100; i++) {
    timers.arm(deadline, 30_000);
    timers.cancel(deadline);
  }
  timers.rest();
  assert.equal(count(), before);
});

test("what is found overdue after a stall waits until the sockets were polled, once", async () => {
  const before = timers.lateSweeps;
  const order: string[] = [];
  const deadline = new CallbackDeadline(() => order.push("deadline"));
  // The answer lies in the kernel when the deadline has passed.
  let accepted = false;
  const server = net.createServer((socket) => {
    accepted = true;
    socket.on("data", () => order.push("data"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  await once(client, "connect");
  await waitFor(() => accepted, "the server to accept");
  timers.arm(deadline, 50);
  client.write("x");
  stall(200);
  await waitFor(() => order.length === 2, "both");
  assert.deepEqual(order, ["data", "deadline"]);
  assert.equal(timers.lateSweeps, before + 1);
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test("a deadline that is cancelled while the sweep waits does not fire, one that is armed fires later", async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const before = timers.lateSweeps;
    const cancelled = new CallbackDeadline(() => assert.fail("fired"));
    const armed = new CallbackDeadline(() => {});
    timers.arm(cancelled, 20);
    // Fires before the wheel's own timer or behind it, but before the sweep, which comes after a poll.
    setTimeout(() => {
      timers.cancel(cancelled);
      timers.arm(armed, 1);
    }, 30);
    stall(120);
    await waitFor(() => !armed.armed && !cancelled.armed, "both");
    if (timers.lateSweeps > before) return;
  }
  assert.fail("no sweep was ever late");
});

test("a deadline that throws costs the others nothing", async () => {
  const fired: number[] = [];
  const thrown: unknown[] = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => thrown.push(error));
  try {
    for (let i = 0; i < 10; i++) {
      const deadline = new CallbackDeadline(() => {
        fired.push(i);
        if (i === 5) throw new Error("thrown by a deadline");
      });
      timers.arm(deadline, i < 8 ? 20 : 100);
    }
    await waitFor(() => fired.length === 10, "all ten");
    assert.equal(thrown.length, 1);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
  }
});

test("fake timers of a test do not reach the wheel", async () => {
  const names = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "clearTimeout"] as const;
  const globals = globalThis as unknown as Record<string, unknown>;
  const real = new Map(names.map((name) => [name, globals[name]]));
  const realNow = performance.now;
  const { nextTick } = process;
  let fired = 0;
  const deadline = new CallbackDeadline(() => fired++);
  try {
    for (const name of names) globals[name] = () => 1;
    performance.now = () => 0;
    process.nextTick = () => {};
    timers.arm(deadline, 20);
    timers.cancel(deadline);
    timers.arm(deadline, 20);
  } finally {
    for (const [name, value] of real) globals[name] = value;
    performance.now = realNow;
    process.nextTick = nextTick;
  }
  await waitFor(() => fired === 1, "the deadline");
});

test("a deadline runs in no caller's asynchronous context", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const deadline = new CallbackDeadline(() => seen.push(storage.getStore()));
  storage.run("a request", () => timers.arm(deadline, 20));
  await waitFor(() => seen.length === 1, "the deadline");
  storage.run("another", () => {
    timers.arm(deadline, 20);
    stall(150);
  });
  await waitFor(() => seen.length === 2, "the late one");
  assert.deepEqual(seen, [undefined, undefined]);
});
