// Calls whose connection never opened while another one was full: how often they are tried, and what ends their wait.

import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { nodeAdapter } from "../../../src/adapters/nodeSockets.ts";
import type { ClientOptions, Message, Server } from "../../../src/index.ts";
import { createApi } from "../../../src/rpc/api.ts";
import type { DialEvents } from "../../../src/rpc/transport.ts";
import { closedAfterTest } from "../../support/closedAfterTest.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  fromText,
  patternBytes,
  rejectsWith,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

/** A length that no other body has. */
const BODY_BYTES = 777;
const CALLS = 16;
const FAILURES = 40;
const STARTED = "tracing:sealwire.request:start";

/**
 * Unless the network is up, dials fail in turns of their own, without pauses between them, or are told nothing until they
 * are given up, as in a network that loses everything.
 */
function unreliable(server: Server, options: ClientOptions) {
  const network = { up: true, silent: false, failures: 0, givenUp: 0, lost: [] as (() => void)[] };
  const adapter = {
    ...nodeAdapter,
    dial(address: never, events: DialEvents): () => void {
      if (network.up) return nodeAdapter.dial(address, events);
      if (network.silent) {
        network.lost.push(() => events.onClose(new Error("the route is lost")));
        return () => {
          network.givenUp++;
          setTimeout(() => events.onClose(), 0);
        };
      }
      setTimeout(() => {
        network.failures++;
        events.onClose(new Error("no descriptor is left"));
      }, 0);
      return () => {};
    },
  };
  const { random } = Math;
  Math.random = () => 0; // the length of a pause is a random part of its limit
  try {
    const limits = { maxConnections: 2, maxInFlightRequests: CALLS, ...options };
    const client = createApi(adapter).connect({ port: server.port, ...limits });
    return { client: closedAfterTest(client), network };
  } finally {
    Math.random = random;
  }
}

/** Counts the requests that are tried, and the copies that are wiped, of bodies of BODY_BYTES during `run`. */
async function counted(run: (counts: { tries: number; copies: number }) => Promise<void>): Promise<void> {
  const counts = { tries: 0, copies: 0 };
  const onStart = (message: unknown): void => {
    if ((message as { bodyBytes: number }).bodyBytes === BODY_BYTES) counts.tries++;
  };
  const { fill } = Uint8Array.prototype;
  Uint8Array.prototype.fill = function (...given) {
    if (this.length === BODY_BYTES && given[0] === 0) counts.copies++;
    return fill.apply(this, given);
  };
  diagnostics.subscribe(STARTED, onStart);
  try {
    await run(counts);
  } finally {
    diagnostics.unsubscribe(STARTED, onStart);
    Uint8Array.prototype.fill = fill;
  }
}

for (const { name, options } of protocols) {
  /**
   * A client whose one connection is full, and the function that lets its server answer. `silent`: later dials are told
   * nothing; otherwise they fail.
   */
  async function fullClient(clientOptions: ClientOptions = {}, silent = false) {
    const gate = deferred();
    const onMessage = async (message: Message): Promise<void> => {
      await gate.promise;
      if (message.expectsReply) message.reply(message.body);
    };
    const server = await startServer({ ...options, onMessage });
    const { client, network } = unreliable(server, { ...options, ...clientOptions });
    await client.connected();
    network.up = false;
    network.silent = silent;
    const held = Array.from({ length: CALLS }, () => client.request(text("held")));
    return { client, network, held, answer: gate.resolve };
  }

  test(`${name}: what sendNoWait takes goes to a connection that is open, whatever becomes of a dial`, async () => {
    let got = 0;
    const server = await startServer({ ...options, onMessage: () => void got++ });
    const { client, network } = unreliable(server, { ...options, highWaterMarkBytes: 65_536 });
    await client.connected();
    network.up = false;
    let taken = 0;
    while (client.sendNoWait(patternBytes(16_000))) taken++;
    assert.ok(taken >= 4, `${taken} were taken`);
    await waitFor(() => network.failures > 0 && got === taken, "a failed dial, and all messages");
    assert.equal(client.sendNoWait(text("one more")), true);
    await waitFor(() => got === taken + 1, "one more");
  });

  /** A client with a full connection, four displaced calls, and a dial that is told nothing; what its server got. */
  async function displacedBeside(held: readonly AbortSignal[] = []) {
    const got: Message[] = [];
    const server = await startServer({ ...options, onMessage: (message) => void got.push(message) });
    const { client, network } = unreliable(server, { ...options, dialTimeoutMs: 0 });
    await client.connected();
    network.up = false;
    const calls = Array.from({ length: CALLS }, (_, i) =>
      client.request(text("held"), { signal: held[i], timeoutMs: 0 }).catch(() => {}),
    );
    for (let i = 0; i < 4; i++) calls.push(client.request(text(`${i}`), { timeoutMs: 0 }));
    // They have failed with the first dial when the second one begins.
    network.silent = true;
    await waitFor(() => network.failures === 1 && got.length === CALLS, "the calls that fill the connection");
    const bodies = () => got.slice(CALLS).map(({ body }) => fromText(body));
    return { client, network, got, bodies, calls };
  }

  test(`${name}: while dials fail, calls that wait are neither tried nor copied again`, async () => {
    const { client, network, held, answer } = await fullClient();
    const bodies = Array.from({ length: CALLS }, (_, i) => patternBytes(BODY_BYTES, i));
    await counted(async (counts) => {
      const calls = bodies.map((body) => client.request(body));
      for (const body of bodies) body.set(new Uint8Array(BODY_BYTES));
      await waitFor(() => network.failures >= 2, "the first dials to fail");
      const before = { ...counts };
      assert.equal(before.tries, CALLS, "each was tried on the connection that did not open");
      assert.ok(before.copies <= CALLS, `${before.copies} copies`);
      await waitFor(() => network.failures >= FAILURES, "dials to fail");
      assert.deepEqual(counts, before);
      // They have their places beside calls that are made meanwhile.
      assert.equal(client.stats.inFlightRequests, 2 * CALLS);
      assert.ok(client.stats.pendingBytes >= CALLS * BODY_BYTES);
      assert.ok((await rejectsWith(client.request(text("x")), "ERR_TOO_MANY_REQUESTS")).notBegun);
      network.up = true;
      answer();
      for (const [i, body] of (await Promise.all(calls)).entries())
        assertSameBytes(body, patternBytes(BODY_BYTES, i));
      assert.equal(counts.tries, 2 * CALLS, "each was tried once more");
      assert.ok(counts.copies <= before.copies + 2 * CALLS, `${counts.copies} copies`);
    });
    await Promise.all(held);
    assert.deepEqual([client.stats.inFlightRequests, client.stats.pendingBytes], [0, 0]);
  });

  test(`${name}: calls that wait go to the open connection when it has room, though dials fail`, async () => {
    const { client, network, held, answer } = await fullClient();
    const calls = Array.from({ length: CALLS }, (_, i) => client.request(text(`call ${i}`)));
    await waitFor(() => network.failures >= 3, "dials to fail");
    answer();
    await Promise.all([...held, ...calls]);
    assert.equal(client.stats.openedConnections, 1);
  });

  test(`${name}: each answer lets the next call go on, in order, though no dial opens or ends`, async () => {
    const { got, bodies, calls } = await displacedBeside();
    for (let i = 0; i < 4; i++) {
      assert.equal(bodies().length, i);
      got[i]!.reply(text("answer"));
      await waitFor(() => bodies().length > i, "the next call");
    }
    assert.deepEqual(bodies(), ["0", "1", "2", "3"]);
    for (const message of got.slice(4)) message.reply(text("answer"));
    await Promise.all(calls);
  });

  test(`${name}: a call that was aborted lets the next one go on`, async () => {
    const abort = new AbortController();
    const { got, bodies, calls } = await displacedBeside([abort.signal]);
    abort.abort();
    await waitFor(() => bodies().length === 1, "the next call");
    assert.deepEqual(bodies(), ["0"]);
    for (let i = 1; i < CALLS + 4; i++) {
      await waitFor(() => got.length > i, "calls");
      got[i]!.reply(text("answer"));
    }
    await Promise.all(calls);
  });

  test(`${name}: calls that are made when there is room do not overtake those that wait`, async () => {
    const { client, network, got, bodies, calls } = await displacedBeside();
    const newer = calls
      .slice(0, 3)
      .map((call, i) => call.then(() => client.request(text(`newer ${i}`), { timeoutMs: 0 })));
    for (const message of got.slice(0, 3)) message.reply(text("answer"));
    await waitFor(() => bodies().length === 3, "calls");
    assert.deepEqual(bodies(), ["0", "1", "2"]);
    // The newer ones wait for the other connection, until it fails.
    for (const lose of network.lost.splice(0)) lose();
    for (let i = 3; i < CALLS + 7; i++) {
      await waitFor(() => got.length > i, "calls");
      got[i]!.reply(text("answer"));
    }
    await Promise.all([...calls, ...newer]);
    assert.deepEqual(bodies(), ["0", "1", "2", "3", "newer 0", "newer 1", "newer 2"]);
  });

  test(`${name}: calls whose dial takes too long wait for the full connection`, async () => {
    const { network, held, answer, client } = await fullClient({ dialTimeoutMs: 5 }, true);
    const calls = Array.from({ length: CALLS }, (_, i) => client.request(text(`call ${i}`)));
    await waitFor(() => network.givenUp >= 3, "dials that take too long");
    answer();
    await Promise.all([...held, ...calls]);
    assert.equal(client.stats.openedConnections, 1);
  });

  test(`${name}: calls that go on at the same time share the room of several connections`, async () => {
    const held: Message[] = [];
    const onMessage = (message: Message): void => void held.push(message);
    const server = await startServer({ ...options, onMessage });
    const { client, network } = unreliable(server, { ...options, maxConnections: 3 });
    await client.connected();
    const first = Array.from({ length: CALLS }, () => client.request(text("first")));
    await waitFor(() => client.connections.length === 2, "another connection");
    network.up = false;
    first.push(...Array.from({ length: CALLS }, () => client.request(text("first"))));
    await waitFor(() => held.length === 2 * CALLS, "full connections");
    const { failures } = network;
    const calls = Array.from({ length: CALLS }, () => client.request(text("call")));
    await waitFor(() => network.failures >= failures + 2, "dials to fail");
    // Neither of the two has room for all.
    const { connection } = held[0]!;
    const kept: Message[] = [];
    for (const isFirst of [true, false]) {
      const ofOne = held.filter((message) => (message.connection === connection) === isFirst);
      assert.equal(ofOne.length, CALLS);
      kept.push(...ofOne.splice(0, 6));
      for (const message of ofOne) message.reply(message.body);
    }
    await waitFor(() => held.length === 3 * CALLS, "the calls that waited");
    for (const message of [...kept, ...held.slice(2 * CALLS)]) message.reply(message.body);
    await Promise.all([...first, ...calls]);
    assert.equal(client.stats.openedConnections, 2);
  });

  test(`${name}: a signal, a time-out and close() end the wait for a connection`, async () => {
    const { client, network, held, answer } = await fullClient();
    const abort = new AbortController();
    // Awaited from the beginning: on a busy machine the time-out may come before anything else.
    const ends = Promise.all([
      rejectsWith(client.request(text("aborted"), { signal: abort.signal }), "ERR_ABORTED"),
      rejectsWith(client.request(text("late"), { timeoutMs: 20 }), "ERR_REQUEST_TIMEOUT"),
    ]);
    const closed = client.request(text("closed"));
    await waitFor(() => network.failures >= 2, "dials to fail");
    abort.abort(new Error("enough"));
    const errors = await ends;
    assert.equal((errors[0]!.cause as Error).message, "enough");
    await waitFor(() => network.failures >= 5, "more dials to fail");
    const closing = client.close();
    errors.push(await rejectsWith(closed, "ERR_CLOSED"));
    assert.deepEqual(
      errors.map(({ notBegun }) => notBegun),
      [true, true, true],
    );
    answer();
    await Promise.all([...held, closing]);
  });

  test(`${name}: a signal that closes the client when it is watched again ends its call`, async () => {
    const { client, network, held, answer } = await fullClient();
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    let listeners = 0;
    let closing: Promise<void> | undefined;
    Object.assign(signal, {
      addEventListener(...args: Parameters<typeof add>) {
        // The first listener is that of the connection that never opens.
        if (++listeners === 2) closing = client.close();
        add(...args);
      },
    });
    const error = await rejectsWith(client.request(text("closed"), { signal, timeoutMs: 0 }), "ERR_CLOSED");
    assert.ok(error.notBegun && network.failures > 0);
    answer();
    await Promise.all([...held, closing]);
  });

  test(`${name}: without an open connection, calls that wait share the fate of the next dial`, async () => {
    const { client, network, held, answer } = await fullClient();
    const calls = Array.from({ length: CALLS }, () => client.request(text("call")));
    const outcomes = Promise.allSettled([...held, ...calls]);
    await waitFor(() => network.failures >= 2, "dials to fail");
    (client.connections[0] as unknown as { destroy(error: Error): void }).destroy(new Error("lost"));
    for (const call of calls) assert.ok((await rejectsWith(call, "ERR_DIAL_FAILED")).notBegun);
    answer();
    await outcomes;
  });

  test(`${name}: messages go on as soon as fewer bytes wait, though no dial opens or ends`, async () => {
    const gate = deferred();
    const marks: number[] = [];
    const onMessage = ({ body }: Message): Promise<void> => {
      if (body[0] !== 0) marks.push(body[0]!);
      return gate.promise;
    };
    const server = await startServer({ ...options, maxConcurrentHandlers: 1, onMessage });
    const bytes = { maxFrameBytes: 65_536, maxPendingBytes: 131_072 };
    const { client, network } = unreliable(server, { ...options, ...bytes, dialTimeoutMs: 0 });
    await client.connected();
    network.up = false;
    const sent: Promise<void>[] = [];
    for (let fullTurns = 0; fullTurns < 5; fullTurns++) {
      while (client.stats.pendingBytes < 60_000) {
        sent.push(client.send(new Uint8Array(50_000)));
        fullTurns = 0;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (let mark = 1; mark <= 3; mark++) sent.push(client.send(new Uint8Array(40_000).fill(mark)));
    const { failures } = network;
    network.silent = true;
    await waitFor(
      () => network.failures > failures && network.lost.length > 0,
      "a dial that is told nothing",
    );
    gate.resolve();
    await Promise.all(sent);
    await waitFor(() => marks.length === 3, "the messages");
    assert.deepEqual(marks, [1, 2, 3]);
  });

  test(`${name}: messages that wait because of their bytes go on in their order`, async () => {
    const arrived: number[] = [];
    const onMessage = ({ body }: Message): void => void arrived.push(body[0]!);
    const server = await startServer({ ...options, onMessage });
    const { client, network } = unreliable(server, {
      ...options,
      maxFrameBytes: 65_536,
      maxPendingBytes: 131_072,
    });
    await client.connected();
    network.up = false;
    // Two fill the open connection, two wait for one that fails.
    const sent = Array.from({ length: 4 }, (_, i) => client.send(new Uint8Array(50_000).fill(i)));
    await Promise.all(sent);
    await waitFor(() => arrived.length === 4, "the messages");
    assert.deepEqual(arrived, [0, 1, 2, 3]);
    assert.equal(client.stats.openedConnections, 1);
  });
}
