// Callbacks of applications that throw, reject or return values. The error is printed once on the console, the
// connection is unharmed, and there is no unhandled rejection (the runner fails a test for one).

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { HandlerBudget, type HandlerWaiter } from "../../../src/rpc/handlerBudget.ts";
import { ConsoleReport, callListener } from "../../../src/rpc/listeners.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  fromText,
  sleep,
  startPair,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** Runs `body` with the console's errors caught. */
async function withConsole(
  body: (lines: unknown[][]) => Promise<void>,
  write: (...line: unknown[]) => void = () => {},
): Promise<void> {
  const lines: unknown[][] = [];
  const original = console.error;
  console.error = (...line: unknown[]) => {
    // Node prints its warnings here, too.
    if (!/^(sealwire: |flood)/.test(String(line[0]))) return;
    lines.push(line);
    write(...line);
  };
  try {
    await body(lines);
  } finally {
    console.error = original;
  }
}

const failure = new Error("from the application");

function lateThenable(settle: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void) {
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  return { then: settle };
}

/** Ways to fail, each of which has to be said once. */
const failures: Record<string, () => unknown> = {
  throws: () => {
    throw failure;
  },
  "throws nothing": () => {
    throw undefined;
  },
  "throws what has no text": () => {
    throw Object.create(null);
  },
  rejects: () => Promise.reject(failure),
  "rejects later": () => sleep(1).then(() => Promise.reject(failure)),
  "rejects with what has no text": () => Promise.reject(Object.create(null)),
  "a then that throws": () =>
    lateThenable(() => {
      throw failure;
    }),
  "a then that rejects twice": () =>
    lateThenable((_resolve, reject) => {
      reject(failure);
      reject(failure);
      throw failure;
    }),
  "a then that is a getter that throws": () =>
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    Object.defineProperty({}, "then", {
      get: () => {
        throw failure;
      },
    }),
  "a promise whose constructor throws": () =>
    Object.defineProperty(Promise.resolve(), "constructor", {
      get: () => {
        throw failure;
      },
    }),
  "a function that is a thenable": () =>
    Object.assign(
      () => {},
      lateThenable((_resolve, reject) => reject(failure)),
    ),
};

/** Ways to return that are no failure. */
const harmless: Record<string, () => unknown> = {
  nothing: () => {},
  null: () => null,
  "a promise": () => Promise.resolve(1),
  "a thenable that settles twice": () =>
    lateThenable((resolve, reject) => {
      resolve(1);
      reject(failure);
      throw failure;
    }),
  "a thenable that never settles": () => lateThenable(() => {}),
  "an object without then": () => Object.create(null),
};

for (const [how, listener] of Object.entries(failures)) {
  test(`a listener: ${how}: said once`, async () => {
    await withConsole(async (lines) => {
      const name = `listener that ${how}`;
      callListener(name, listener);
      await waitFor(() => lines.length > 0, "the line");
      await sleep(5);
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]![0]), new RegExp(name));
    });
  });
}

for (const [how, listener] of Object.entries(harmless)) {
  test(`a listener: ${how}: nothing is said`, async () => {
    await withConsole(async (lines) => {
      callListener("harmless", listener);
      await sleep(5);
      assert.deepEqual(lines, []);
    });
  });
}

test("a console that throws harms nobody", async () => {
  const broken = () => {
    throw new Error("no console");
  };
  await withConsole(async (lines) => {
    callListener("with a broken console", () => Promise.reject(failure));
    await waitFor(() => lines.length > 0, "the attempt");
    await sleep(5);
    assert.equal(lines.length, 2, "once with the value, once without");
  }, broken);
});

const HOSTILE = "no user \u001b]0;title\u0007\u009b2J\r\nsealwire: forged\u2028sealwire: forged \u202egnp";

/** Values that quote a peer. */
const quoting: Record<string, () => unknown> = {
  "an error": () => new Error(HOSTILE),
  "the cause of an error": () => new Error("failed", { cause: new TypeError(HOSTILE) }),
  "one of several errors": () => new AggregateError([new Error(HOSTILE)], "failed"),
  "the name of an error": () => Object.assign(new Error("failed"), { name: HOSTILE }),
  "a property of an error": () => Object.assign(new Error("failed"), { code: HOSTILE, [HOSTILE]: 1 }),
  "a text": () => HOSTILE,
  "a symbol": () => Symbol(HOSTILE),
  "a long error": () => new Error(`${"x".repeat(1_000_000)}${HOSTILE}`),
};

for (const [what, make] of Object.entries(quoting)) {
  test(`${what} that quotes a peer is printed without what a terminal obeys, and begins no line`, async () => {
    await withConsole(async (lines) => {
      new ConsoleReport("flood").say(make());
      const printed = lines[0]!.map((part) => (typeof part === "string" ? part : inspect(part))).join(" ");
      assert.ok(printed.length < 20_000, `${printed.length} characters`);
      assert.doesNotMatch(printed, /[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e]/u);
      for (const line of printed.split("\n").slice(1)) assert.match(line, /^[\s}\])]/);
    });
  });
}

test("a flood of reports is a few lines with a count", async () => {
  await withConsole(async (lines) => {
    const report = new ConsoleReport("flood");
    for (let i = 0; i < 12_000; i++) report.say(failure);
    // A slow machine may take more than one period for it.
    assert.ok(lines.length >= 5 && lines.length <= 40, `${lines.length} lines`);
    assert.equal(lines[0]![1], failure);
    assert.ok(lines.some(([line]) => /flood \(\d+ times within a second\)/.test(String(line))));
  });
});

for (const { name, options } of protocols) {
  test(`${name}: onConnectionState that rejects or throws, on both ends`, async () => {
    for (const listener of [failures.rejects!, failures.throws!, failures["a then that throws"]!]) {
      await withConsole(async (lines) => {
        const { client, server } = await startPair(
          { ...options, onMessage: echo, onConnectionState: listener as () => void },
          { ...options, onConnectionState: listener as () => void },
        );
        assert.equal(fromText(await client.request(text("served"))), "served");
        await client.close();
        await server.close();
        await sleep(5);
        assert.ok(lines.length >= 2 && lines.length <= 12, `${lines.length} lines`);
      });
      // The limit of lines is per second.
      await sleep(1_000);
    }
  });

  test(`${name}: onHandlerError that rejects`, async () => {
    await withConsole(async (lines) => {
      const { client } = await startPair(
        {
          ...options,
          onMessage: (message) => {
            if (!message.expectsReply) throw failure;
            message.reply(message.body);
          },
          onHandlerError: (async () => {
            throw failure;
          }) as () => void,
        },
        { ...options, maxConnections: 1 },
      );
      await client.send(text("fails"));
      assert.equal(fromText(await client.request(text("goes on"))), "goes on");
      await waitFor(() => lines.length > 0, "the line");
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]![0]), /onHandlerError/);
    });
    await sleep(1_000);
  });
}

// ---- The budget of handlers -----------------------------------------------------------------------------

/** Takes `wanted` handlers as the budget lets it. */
class Taker implements HandlerWaiter {
  readonly #budget: HandlerBudget;
  wanted: number;
  taken = 0;
  told = 0;

  constructor(budget: HandlerBudget, wanted: number) {
    this.#budget = budget;
    this.wanted = wanted;
  }

  roomForHandlers(): void {
    this.told++;
    this.take();
  }

  take(): void {
    while (this.wanted > 0 && !this.#budget.full) {
      this.wanted--;
      this.taken++;
      this.#budget.begin();
    }
    if (this.wanted > 0) this.#budget.waitForRoom(this);
    this.#budget.passOn();
  }
}

test("handlers: room goes to those that wait, in turn, and to nobody that is gone", () => {
  const budget = new HandlerBudget(2);
  const [first, second, third, fourth] = [2, 2, 1, 1].map((wanted) => new Taker(budget, wanted)) as [
    Taker,
    Taker,
    Taker,
    Taker,
  ];
  for (const taker of [first, second, third, fourth]) taker.take();
  assert.ok(budget.full);
  assert.deepEqual([first.taken, second.taken, third.taken, fourth.taken], [2, 0, 0, 0]);
  budget.forget(third);
  budget.end();
  assert.deepEqual([second.taken, third.taken, fourth.taken], [1, 0, 0]);
  // The second one waits again, behind the fourth.
  budget.end();
  assert.deepEqual([second.taken, fourth.taken], [1, 1]);
  budget.end();
  assert.equal(second.taken, 2);
  assert.equal(third.told, 0);
  for (let i = 0; i < 2; i++) budget.end();
  assert.equal(budget.running, 0);
});

test("handlers: room that the told one does not need goes on to the next", () => {
  const budget = new HandlerBudget(1);
  budget.begin();
  const busy = new Taker(budget, 1);
  const idle = new Taker(budget, 1);
  const next = new Taker(budget, 1);
  for (const taker of [idle, busy, next]) budget.waitForRoom(taker);
  budget.waitForRoom(idle);
  idle.wanted = 0;
  busy.wanted = 0;
  budget.end();
  assert.deepEqual([idle.told, busy.told, next.told, next.taken], [1, 1, 1, 1]);
});
