// Handlers and the peers that start them: results of every kind, signals that fire, limits that hold across
// connections, and the memory of a message after it is handled.

import assert from "node:assert/strict";
import {
  type Client,
  type Connection,
  type Message,
  SealwireError,
  type ServerOptions,
} from "../../../src/index.ts";
import { encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { CallbackDeadline } from "../../../src/rpc/deadline.ts";
import { HandlerBudget } from "../../../src/rpc/handlerBudget.ts";
import { Handlers } from "../../../src/rpc/handlers.ts";
import { IncomingMessage, type MessageOwner } from "../../../src/rpc/message.ts";
import { timers } from "../../../src/rpc/timers.ts";
import { test } from "../../support/harness.ts";
import { protocols, v2 } from "../../support/protocols.ts";
import { concat, RawPeer, u32 } from "../../support/rawPeer.ts";
import type { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

// ---- What handlers throw and return -----------------------------------------------------------------------

const failure = Object.assign(new Error("the secret of this server"), { code: "E_OWN" });

function thenable(then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void) {
  return { then };
}

function throwIt(value: unknown): never {
  throw value;
}

/** Ways in which a handler fails; each costs its own caller an ERR_REMOTE, and nobody else anything. */
const failures: Record<string, () => unknown> = {
  "throws an error": () => throwIt(failure),
  "throws undefined": () => throwIt(undefined),
  "throws null": () => throwIt(null),
  "throws what has no text": () => throwIt(Object.create(null)),
  "throws a symbol": () => throwIt(Symbol("x")),
  "throws a revoked proxy": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    throwIt(proxy);
  },
  "throws an error whose properties throw": () =>
    throwIt(
      Object.defineProperties(new Error(), {
        message: { get: () => throwIt(failure) },
        code: { get: () => throwIt(failure) },
        stack: { get: () => throwIt(failure) },
      }),
    ),
  "throws what throws as text": () => throwIt({ toString: () => throwIt(failure), code: 5, message: 7 }),
  rejects: () => Promise.reject(failure),
  "rejects with what has no text": () => Promise.reject(Object.create(null)),
  "a then that throws": () => thenable(() => throwIt(failure)),
  "a then that is a getter that throws": () =>
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    Object.defineProperty({}, "then", { get: () => throwIt(failure) }),
  "a then that rejects, resolves and throws": () =>
    thenable((resolve, reject) => {
      reject(failure);
      reject(failure);
      resolve(undefined);
      throw failure;
    }),
  "a promise behind a proxy whose prototype can't be read": () =>
    new Proxy(
      thenable((_resolve, reject) => reject(failure)),
      { getPrototypeOf: () => throwIt(failure) },
    ),
  "a proxy of an error of this package": () =>
    throwIt(new Proxy(new SealwireError("ERR_REMOTE", "x"), { get: () => throwIt(failure) })),
  "a promise whose constructor throws": () =>
    Object.defineProperty(Promise.resolve(), "constructor", { get: () => throwIt(failure) }),
};

for (const exposure of [{}, { exposeErrorMessages: true }, { exposeStacks: true }]) {
  const [shown = "by default"] = Object.keys(exposure);

  test(`${shown}: however a handler fails, its caller is told, onHandlerError once, and the rest is served`, async () => {
    const reported: unknown[] = [];
    const { client, server } = await startPair(
      {
        ...v2.options,
        ...exposure,
        onHandlerError: (error) => reported.push(error),
        onMessage: (message) => {
          const how = failures[fromText(message.body)];
          return how === undefined ? echo(message) : (how() as undefined);
        },
      },
      { ...v2.options, maxConnections: 1 },
    );
    const connection = await client.connected();
    for (const how of Object.keys(failures)) {
      const [error, beside] = await Promise.all([
        rejectsWith(client.request(text(how)), "ERR_REMOTE"),
        client.request(text("beside it")),
      ]);
      assert.equal(fromText(beside), "beside it", how);
      assert.equal(reported.splice(0).length, 1, how);
      const isOwn = error.remoteCode === "E_OWN";
      assert.ok(isOwn || error.remoteCode === "ERR_HANDLER", `${how}: ${error.remoteCode}`);
      // What the server does not choose to show is not sent.
      const tells = /the secret of this server/.test(error.message);
      assert.equal(tells, isOwn && shown !== "by default", `${how}: ${error.message}`);
    }
    assert.equal(client.connections[0], connection);
    assert.equal(server.connections.length, 1);
  });
}

test("a result that settles twice counts once: the limit of handlers stays what it is", async () => {
  const { client } = await startPair(
    {
      ...v2.options,
      maxConcurrentHandlers: 2,
      maxHandlers: 2,
      onMessage: (message) => {
        message.reply(message.body);
        return thenable((resolve, reject) => {
          resolve(undefined);
          reject(failure);
          resolve(undefined);
          queueMicrotask(() => resolve(undefined));
        }) as unknown as Promise<void>;
      },
    },
    v2.options,
  );
  for (let i = 0; i < 50; i++) assert.equal(fromText(await client.request(text(String(i)))), String(i));
});

test("remoteCode passes through any number of hops, the text and the data do not", async () => {
  const withData = Object.assign(new Error("the secret of this server"), {
    code: "E_OWN",
    data: text("row 7"),
  });
  const first = await startServer({ ...v2.options, onMessage: () => throwIt(withData), onHandlerError() {} });
  let port = first.port;
  const ofFirst = await rejectsWith(startClient({ ...v2.options, port }).request(text("x")), "ERR_REMOTE");
  assert.equal(fromText(ofFirst.data!), "row 7");
  for (let hop = 0; hop < 3; hop++) {
    const next = startClient({ ...v2.options, port });
    const server = await startServer({
      ...v2.options,
      onHandlerError() {},
      onMessage: async (message) => void message.reply(await next.request(message.body)),
    });
    port = server.port;
    const client = startClient({ ...v2.options, port });
    const error = await rejectsWith(client.request(text("x")), "ERR_REMOTE");
    assert.equal(error.remoteCode, "E_OWN");
    assert.doesNotMatch(error.message, /secret/);
    assert.equal(error.data, undefined);
  }
});

/** How a caller stops waiting: by a signal once its handler has begun, or after enough time for that. */
const endings: Record<string, (client: Client, signal: AbortSignal) => Promise<unknown>> = {
  "the caller's time is over": (client) => client.request(text("x"), { timeoutMs: 500 }),
  "the caller aborts": (client, signal) => client.request(text("x"), { signal }),
  "the deadline of a call passes": (client) => client.call(text("x"), { timeoutMs: 500 }).answer,
  "the caller aborts a call without streams": (client, signal) =>
    client.call(text("x"), { streams: false, signal }).answer,
  "the caller leaves": (client) => Promise.all([client.request(text("x")), client.close()]),
};

for (const [how, end] of Object.entries(endings)) {
  test(`a handler that has returned, and answers when ${how}: reply is false, nothing is thrown`, async () => {
    const messages: Message[] = [];
    const { client } = await startPair(
      { ...v2.options, onMessage: (message) => void messages.push(message) },
      { ...v2.options, drainTimeoutMs: 20 },
    );
    await client.connected();
    const abort = new AbortController();
    const ended = end(client, abort.signal).catch(() => {});
    await waitFor(() => messages.length === 1, "the message");
    const message = messages[0]!;
    abort.abort();
    await ended;
    await waitFor(() => !message.expectsReply, "the end of the wait");
    for (let i = 0; i < 2; i++) assert.equal(message.reply(text("late")), false);
    // Its rejection need not be awaited.
    void message.write(text("late"));
    assert.ok(message.signal.aborted);
  });
}

test("code that is told that nobody waits may answer, whatever was answered before", async () => {
  const outcomes: unknown[] = [];
  const { client } = await startPair(
    {
      ...v2.options,
      onMessage: async (message) => {
        message.signal.addEventListener("abort", () => {
          try {
            outcomes.push(message.reply(text("too late")));
          } catch (error) {
            outcomes.push(error);
          }
        });
        if (fromText(message.body) === "answered") message.reply(text("answer"));
        await new Promise((resolve) => message.signal.addEventListener("abort", resolve));
      },
    },
    { ...v2.options, drainTimeoutMs: 20 },
  );
  await client.request(text("answered"));
  await rejectsWith(client.request(text("waits"), { timeoutMs: 20 }), "ERR_REQUEST_TIMEOUT");
  await waitFor(() => outcomes.length === 1, "the first signal");
  await client.close();
  await waitFor(() => outcomes.length === 2, "the second signal");
  assert.deepEqual(outcomes, [false, false]);
});

/** Answers that depend on what the peer takes. */
const untaken: Record<string, { readonly code: string; readonly reply: (message: Message) => boolean }> = {
  "longer than the peer takes": {
    code: "ERR_MESSAGE_TOO_LARGE",
    reply: (message) => message.reply(new Uint8Array(70_000)),
  },
  "a head for a plain request": {
    code: "ERR_UNSUPPORTED",
    reply: (message) => message.reply(text("x"), { contentType: 1 }),
  },
};

for (const [what, { code, reply }] of Object.entries(untaken)) {
  test(`an answer with ${what} throws into its handler, and ends the request once that has returned`, async () => {
    const messages: Message[] = [];
    const failures: unknown[] = [];
    const { client } = await startPair(
      {
        ...v2.options,
        onMessage: (message) => {
          throwsWith(() => reply(message), code);
          messages.push(message);
        },
        onHandlerError: (error, message) => failures.push(error, message),
      },
      { ...v2.options, maxFrameBytes: 65_536 },
    );
    const answer = rejectsWith(client.request(text("x")), "ERR_REMOTE");
    await waitFor(() => messages.length === 1, "the message");
    const message = messages[0]!;
    throwsWith(() => message.reply("text" as never), "ERR_INVALID_ARGUMENT");
    assert.equal(reply(message), false);
    assert.equal(failures.length, 0, "code of the application ran inside of reply");
    assert.equal((await answer).remoteCode, code);
    const [error, about, ...more] = failures;
    assert.equal((error as SealwireError).code, code);
    assert.ok(about === message && more.length === 0);
    throwsWith(() => message.reply(text("again")), "ERR_ALREADY_ANSWERED");
  });
}

// ---- Numbers and signals ----------------------------------------------------------------------------------

test("a request with the number of one that runs is a protocol error, and every handler's signal fires", async () => {
  const signals: AbortSignal[] = [];
  const done = deferred();
  const victim = await Victim.start(v2, {
    onMessage: (message) => {
      if (fromText(message.body).startsWith("from the well")) return echo(message);
      signals.push(message.signal);
      return done.promise;
    },
  });
  const session = await v2.rawSession(await victim.connect(), "client");
  const call = (sequence: number) => session.seal(sequence, text("runs"), Kind.message);
  for (let i = 0; i < 100; i++) session.peer.write(call(1 + 2 * i));
  await waitFor(() => signals.length === 100, "100 handlers");
  session.peer.write(concat(call(51), call(51), call(301)));
  await victim.expectClosed(session.peer, "ERR_PROTOCOL", "a number twice");
  assert.equal(signals.length, 100, "nothing behind it was handled");
  assert.deepEqual(
    signals.map((signal) => signal.aborted),
    signals.map(() => true),
  );
  done.resolve();
  session.destroy();
});

for (const { name, options, rawSession } of protocols) {
  test(`${name}: a number that was answered is free, and the handlers that go on are still told of the end`, async () => {
    const signals: AbortSignal[] = [];
    const done = deferred();
    const server = await startServer({
      ...options,
      // In v1, where an end may be half of one, the handlers' time begins to run out.
      drainTimeoutMs: 100,
      onMessage: (message) => {
        signals.push(message.signal);
        message.reply(message.body);
        return done.promise;
      },
    });
    const session = await rawSession(await RawPeer.connect(server.port), "client");
    for (let i = 0; i < 20; i++) {
      session.peer.write(session.seal(7, text(String(i)), Kind.message));
      let frame = await session.receive();
      while (frame.body.length === 0) frame = await session.receive();
      assert.deepEqual([frame.sequence, fromText(frame.body)], [7, String(i)]);
    }
    assert.equal(signals.filter((signal) => signal.aborted).length, 0);
    await session.peer.destroy();
    await waitFor(() => signals.every((signal) => signal.aborted), "all signals to fire");
    assert.equal(signals.length, 20);
    done.resolve();
    session.destroy();
  });
}

test("the end reaches every handler that runs, of requests and of one-way messages", async () => {
  const told: number[] = [];
  const done = deferred();
  const server = await startServer({
    ...v2.options,
    onMessage: (message) => {
      const number = Number(fromText(message.body));
      message.signal.addEventListener("abort", () => told.push(number));
      return done.promise;
    },
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  for (let i = 0; i < 10; i++) session.peer.write(session.seal(1 + 2 * i, text(String(i)), Kind.message));
  for (let i = 10; i < 20; i++) session.peer.write(session.seal(0, text(String(i)), Kind.message));
  // Cut inside a frame.
  session.peer.write(concat(u32(100), new Uint8Array(10)));
  await session.peer.destroy();
  await waitFor(() => told.length === 20, "every signal");
  assert.equal(new Set(told).size, 20);
  done.resolve();
  session.destroy();
});

test("a connection that ends while a handler is on the stack: the handler is told, and no deadline is left", async () => {
  for (const takesSignal of ["before", "after", "never"]) {
    let message!: IncomingMessage;
    let signal: AbortSignal | undefined;
    const work = deferred<void>();
    const gone = new SealwireError("ERR_CONNECTION_LOST", "gone");
    const handlers: Handlers = new Handlers(
      {
        exposeErrorMessages: false,
        exposeStacks: false,
        handlerBudget: new HandlerBudget(10),
        onHandlerError: () => {},
        onMessage: () => {
          if (takesSignal === "before") signal = message.signal;
          handlers.end(gone);
          return work.promise;
        },
      },
      true,
      { onFailure: () => {}, onDone: () => {} },
    );
    const owner: MessageOwner = {
      connection: {} as Connection,
      reply: () => false,
      failed: () => {},
      track: (tracked) => handlers.track(tracked),
      drop: (dropped) => handlers.drop(dropped),
      endCancelled: () => {},
    };
    const noHead = { own: {}, streams: false, streamCredit: undefined, fault: undefined, memo: undefined };
    const deadline = new CallbackDeadline(() => {});
    timers.arm(deadline, 60_000);
    const parts = {
      head: noHead,
      deadlineAt: 0,
      deadline,
      incoming: undefined,
      outgoing: undefined,
      hasStreams: false,
    };
    message = new IncomingMessage(owner, 1, new Uint8Array(0), 0, 0, parts);
    handlers.run(message);
    if (takesSignal === "after") signal = message.signal;
    assert.equal(message.cancelReason, gone);
    assert.equal(signal?.reason, takesSignal === "never" ? undefined : gone);
    assert.equal(deadline.armed, false);
    work.resolve();
    await waitFor(() => handlers.running === 0, "the handler's end");
    assert.equal(handlers.tracked, 0);
  }
});

test("maxHandlers holds across connections, also for those whose connection is gone", async () => {
  const running: { release(): void; aborted(): boolean }[] = [];
  let most = 0;
  const server = await startServer({
    ...v2.options,
    maxHandlers: 3,
    onMessage: async (message) => {
      const { promise, resolve } = deferred();
      const { signal } = message;
      running.push({ release: resolve, aborted: () => signal.aborted });
      most = Math.max(most, running.length);
      await promise; // whatever its signal says
      message.reply(message.body);
    },
  });
  const sessions: RawSession[] = [];
  for (let i = 0; i < 4; i++) {
    const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
    session.peer.write(concat(...[1, 3, 5].map((number) => session.seal(number, text("x"), Kind.message))));
    sessions.push(session);
    if (i === 0) await waitFor(() => running.length === 3, "the first one's handlers");
    // Its own is gone, its handlers are not: nobody else's may start.
    if (i < 2) await session.peer.destroy();
  }
  await waitFor(() => running.slice(0, 3).every((handler) => handler.aborted()), "the first ones to be told");
  await sleep(20);
  assert.equal(running.length, 3);
  let handled = 0;
  while (running.length > 0) {
    running.shift()!.release();
    handled++;
    if (handled <= 6)
      await waitFor(() => running.length === Math.min(3, 9 - handled), "the next one to start");
  }
  assert.equal(most, 3);
  assert.ok(handled >= 9, `${handled} handled`);
  for (const session of sessions.slice(2)) {
    const numbers = new Set<number>();
    while (numbers.size < 3) {
      const frame = await session.receive();
      if (frame.kind === Kind.reply) numbers.add(frame.sequence);
    }
    await session.peer.destroy();
  }
  for (const session of sessions) session.destroy();
});

// ---- What is kept -----------------------------------------------------------------------------------------

/** A server that handles 200 messages with at most 4 kept (v1) or running at a time: what is kept for ever stops it. */
async function countKept(
  onMessage: (message: Message) => void,
  write: (session: RawSession, i: number) => void,
  options: ServerOptions = {},
  protocol = v2,
): Promise<number> {
  let handled = 0;
  const server = await startServer({
    ...protocol.options,
    maxConcurrentHandlers: 4,
    ...options,
    onMessage: (message) => {
      handled++;
      if (fromText(message.body) === "last") return echo(message);
      return onMessage(message);
    },
  });
  const session = await protocol.rawSession(await RawPeer.connect(server.port), "client");
  for (let i = 0; i < 200; i++) write(session, i);
  session.peer.write(session.seal(9_999, text("last"), Kind.message));
  for (let frame = await session.receive(); frame.sequence !== 9_999; ) frame = await session.receive();
  await session.peer.destroy();
  session.destroy();
  return handled;
}

for (const protocol of protocols) {
  test(`${protocol.name}: one-way messages whose handler looks at the signal are not kept`, async () => {
    for (const messageBodies of ["copy", "view"] as const) {
      const handled = await countKept(
        (message) => assert.equal(message.signal.aborted, false),
        (session) => session.peer.write(session.seal(0, text("one-way"), Kind.message)),
        { messageBodies },
        protocol,
      );
      assert.equal(handled, 201);
    }
  });
}

test("what is kept, counted: nothing that is answered, cancelled or one-way once its handler is done", async () => {
  const settled = deferred();
  let goesOn = false;
  const handlers = new Handlers(
    {
      onMessage: (message) => {
        assert.equal(message.signal.aborted, false);
        return goesOn ? settled.promise : undefined;
      },
      onHandlerError: (error) => {
        throw error;
      },
      handlerBudget: new HandlerBudget(100),
      exposeErrorMessages: false,
      exposeStacks: false,
    },
    true,
    { onFailure: () => assert.fail("a handler failed"), onDone: () => {} },
  );
  let ends = 0;
  const owner: MessageOwner = {
    connection: undefined as unknown as Connection,
    reply: () => true,
    failed: () => {},
    track: (message) => handlers.track(message),
    drop: (message) => handlers.drop(message),
    endCancelled: () => void ends++,
  };
  const arrive = (sequence: number): IncomingMessage => {
    const message = new IncomingMessage(owner, sequence, new Uint8Array(0), 0, 0);
    handlers.run(message);
    return message;
  };
  const reason = new SealwireError("ERR_ABORTED", "the caller no longer waits");
  for (goesOn of [false, true]) {
    const kept = handlers.tracked;
    const [answered, cancelled, oneWay] = [arrive(1), arrive(3), arrive(0)];
    assert.equal(handlers.tracked - kept, goesOn ? 3 : 2, "who still may be told");
    answered!.reply(new Uint8Array(0));
    cancelled!.cancel(reason);
    assert.ok(cancelled!.signal.aborted);
    assert.equal(oneWay!.signal.aborted, false);
    if (!goesOn) {
      assert.equal(ends, 1);
      assert.equal(handlers.tracked, 0);
    }
  }
  assert.deepEqual([handlers.tracked, handlers.running, ends], [3, 3, 1], "their handlers still run");
  settled.resolve();
  await sleep(0);
  assert.deepEqual([handlers.tracked, handlers.running, ends], [0, 0, 2]);
});

test("requests that were cancelled and never answered are not kept, and each gets its one end", async () => {
  const signals: AbortSignal[] = [];
  const server = await startServer({
    ...v2.options,
    maxConcurrentHandlers: 4,
    // A request that is kept keeps its permit: three times 100 of them don't fit.
    maxRequests: 128,
    onMessage: (message) => void signals.push(message.signal),
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  const begun = encodeError(Origin.library, "ERR_ABORTED", "");
  let notBegun = 0;
  for (let round = 0; round < 3; round++) {
    const open = new Set<number>();
    for (let i = 0; i < 100; i++) {
      const number = 1 + 2 * (100 * round + i);
      open.add(number);
      session.peer.write(session.seal(number, text("request"), Kind.message));
      session.peer.write(session.seal(number, new Uint8Array(0), Kind.cancel));
    }
    while (open.size > 0) {
      const { sequence, kind, body } = await session.receive();
      assert.equal(kind, Kind.error);
      assert.ok(open.delete(sequence), `one end of ${sequence}`);
      // A cancel that comes before the handler has begun: it never will.
      if (body[0] === Origin.notBegun) notBegun++;
      else assert.deepEqual(body, begun);
    }
  }
  assert.equal(signals.length, 300 - notBegun);
  assert.ok(signals.length > 0, "no handler began");
  assert.ok(signals.every((signal) => signal.aborted));
  await session.peer.destroy();
  session.destroy();
});

for (const protocol of protocols) {
  test(`${protocol.name}: requests whose handlers return without an answer hold nobody up`, async () => {
    const handled = await countKept(
      () => {},
      (session, i) => session.peer.write(session.seal(1 + 2 * i, text("request"), Kind.message)),
      {},
      protocol,
    );
    assert.equal(handled, 201);
  });
}

test("a flood of empty requests to a handler that throws: all answered, a few lines said", async () => {
  const lines: unknown[] = [];
  const original = console.error;
  console.error = (...line: unknown[]) => void lines.push(line);
  try {
    const count = 5_000;
    const server = await startServer({
      ...v2.options,
      maxRequests: count,
      onMessage: () => throwIt(failure),
    });
    const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
    assert.equal((await session.receiveRecord()).kind, Kind.settings);
    const frames: Uint8Array[] = [];
    for (let i = 0; i < count; i++) frames.push(session.seal(1 + 2 * i, new Uint8Array(0), Kind.message));
    session.peer.write(concat(...frames));
    let answerBytes = 0;
    for (let i = 0; i < count; i++) {
      const frame = await session.receive();
      assert.deepEqual([frame.sequence, frame.kind], [1 + 2 * i, Kind.error]);
      answerBytes += frame.body.length;
    }
    assert.ok(answerBytes <= count * 16, `${answerBytes} bytes of answers`);
    await session.peer.destroy();
    session.destroy();
  } finally {
    console.error = original;
  }
  assert.ok(lines.length >= 1 && lines.length < 100, `${lines.length} lines`);
});

test("no handler runs inside a call of the API, whatever the call makes the library do", async () => {
  let calls = 0;
  let nested = 0;
  const inside = <T>(call: () => T): T => {
    calls++;
    try {
      return call();
    } finally {
      calls--;
    }
  };
  const body = new Uint8Array(60_000);
  const { client, server } = await startPair(
    {
      ...v2.options,
      maxConcurrentHandlers: 1,
      onMessage: (message) => {
        if (calls > 0) nested++;
        for (let i = 0; i < 3; i++) inside(() => message.connection.sendNoWait(body));
        if (message.expectsReply) inside(() => message.reply(message.body));
      },
    },
    {
      ...v2.options,
      onMessage: () => {
        if (calls > 0) nested++;
        inside(() => client.sendNoWait(body));
      },
    },
  );
  for (let round = 0; round < 3; round++) {
    const answers = Array.from({ length: 20 }, () => inside(() => client.request(text("x"))));
    for (let i = 0; i < 20; i++) inside(() => client.sendNoWait(body));
    await Promise.all(answers);
  }
  assert.equal(nested, 0);
  assert.equal(server.connections.length >= 1, true);
});
