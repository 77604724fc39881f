// diagnostics_channel and `stats`: each channel by its event, and counters that never go down.

import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { type CallHead, type Message, monteV1, noise } from "../../../src/index.ts";
import { freePort } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { PSK } from "../../support/protocols.ts";
import {
  checkLeaksAfterEachTest,
  echo,
  startClient,
  startPair,
  startServer,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const OTHER_PSK = "6f".repeat(32);
type Told = Record<string, unknown>;

/** Runs `body` with a subscriber of each channel; what they were told. */
async function watching(names: string[], body: (told: Map<string, Told[]>) => Promise<void>): Promise<void> {
  const told = new Map<string, Told[]>(names.map((name) => [name, []]));
  const subscribers = names.map((name) => ({
    name,
    listener: (message: unknown) => void told.get(name)!.push(message as Told),
  }));
  for (const { name, listener } of subscribers) diagnostics.subscribe(name, listener);
  try {
    await body(told);
  } finally {
    for (const { name, listener } of subscribers) diagnostics.unsubscribe(name, listener);
  }
}

const only = <T>(list: T[] | undefined): T => {
  assert.equal(list?.length, 1);
  return list![0]!;
};

test("connections that open and close, on both sides", async () => {
  await watching(["sealwire.connection.open", "sealwire.connection.closed"], async (told) => {
    const { server, client } = await startPair({ psk: PSK, onMessage: echo }, { psk: PSK });
    await client.request(new Uint8Array(1));
    const opened = told.get("sealwire.connection.open")!;
    assert.deepEqual(
      new Set(opened.map(({ connection }) => connection)),
      new Set([client.connections[0], server.connections[0]]),
    );
    await client.close();
    await waitFor(() => told.get("sealwire.connection.closed")!.length === 2, "both ends to tell");
    for (const { error } of told.get("sealwire.connection.closed")!) assert.equal(error, undefined);
  });
});

test("a handshake that fails, with its reason, and a dial that does", async () => {
  await watching(["sealwire.handshake.failed", "sealwire.dial.failed"], async (told) => {
    const port = await freePort();
    const { server, client } = await startPair({ psk: PSK, port, onMessage: echo }, { psk: OTHER_PSK });
    await assert.rejects(client.request(new Uint8Array(1)));
    await waitFor(() => told.get("sealwire.handshake.failed")!.length === 2, "both ends to tell");
    for (const { error } of told.get("sealwire.handshake.failed")!) {
      assert.match((error as { code: string }).code, /^ERR_(HANDSHAKE|UNAUTHORIZED|DECRYPT)$/);
    }
    await server.close();
    assert.deepEqual(told.get("sealwire.dial.failed"), []);
    const lost = startClient({ port, psk: PSK });
    await assert.rejects(lost.request(new Uint8Array(1)), { code: "ERR_DIAL_FAILED" });
    assert.equal((only(told.get("sealwire.dial.failed")).error as { code: string }).code, "ERR_DIAL_FAILED");
    assert.deepEqual([lost.stats.openedConnections, lost.stats.failedConnections], [0, 1]);
  });
});

test("a socket that is refused", async () => {
  await watching(["sealwire.socket.refused"], async (told) => {
    const server = await startServer({
      psk: PSK,
      onMessage: echo,
      maxConnections: 1,
      maxConnectionWaitMs: 0,
    });
    const [first, second] = [1, 2].map(() => startClient({ port: server.port, psk: PSK }));
    await first!.request(new Uint8Array(1));
    await assert.rejects(second!.request(new Uint8Array(1)));
    assert.ok(told.get("sealwire.socket.refused")!.length >= 1);
    assert.equal(server.stats.refusedConnections, server.refusedConnections);
    assert.ok(String(told.get("sealwire.socket.refused")![0]!.remoteAddress).includes("127.0.0.1"));
  });
});

test("a full queue, by its code", async () => {
  await watching(["sealwire.queue.full"], async (told) => {
    const release: (() => void)[] = [];
    const onMessage = (message: { reply(body: Uint8Array): boolean }) =>
      new Promise<void>((resolve) => release.push(resolve)).then(() => void message.reply(new Uint8Array(1)));
    const { client } = await startPair(
      { psk: PSK, onMessage },
      { psk: PSK, maxConnections: 1, maxInFlightRequests: 1 },
    );
    const first = client.request(new Uint8Array(1));
    await client.connected();
    await assert.rejects(client.request(new Uint8Array(1)), { code: "ERR_TOO_MANY_REQUESTS" });
    assert.equal(only(told.get("sealwire.queue.full")).code, "ERR_TOO_MANY_REQUESTS");
    await waitFor(() => release.length === 1, "the request to arrive");
    release[0]!();
    await first;
  });
});

test("key changes, of both directions", async () => {
  await watching(["sealwire.rekey"], async (told) => {
    const handshake = noise({ psk: PSK, unsafeRekeyAfterFramesForTests: 4 } as Parameters<typeof noise>[0]);
    const { client } = await startPair({ handshake, onMessage: echo }, { handshake });
    for (let i = 0; i < 12; i++) await client.request(new Uint8Array(1));
    const directions = told.get("sealwire.rekey")!.map(({ direction }) => direction);
    assert.deepEqual([...new Set(directions)].sort(), ["receive", "send"]);
  });
});

test("a subscriber that sends when it is told of a key change disturbs no frame", async () => {
  const handshake = noise({ psk: PSK, unsafeRekeyAfterFramesForTests: 4 } as Parameters<typeof noise>[0]);
  let received = 0;
  const count = ({ connection, body }: Message): void => {
    if (body.length === 2) received++;
    else connection.sendNoWait(body);
  };
  const { server, client } = await startPair(
    { handshake, onMessage: count },
    { handshake, onMessage: count, maxConnections: 1 },
  );
  const own = await client.connected();
  await waitFor(() => server.connections.length === 1, "the server's side");
  let told = 0;
  const listener = (): void => {
    // Told at most once per frame, so that what is sent here does not go on for ever.
    if (++told > 64) return;
    own.sendNoWait(new Uint8Array(2));
    server.connections[0]!.sendNoWait(new Uint8Array(2));
  };
  diagnostics.subscribe("sealwire.rekey", listener);
  try {
    // Short messages, which share a segment, and long ones, which are sealed piece by piece.
    for (let i = 0; i < 40; i++) await client.send(new Uint8Array(i % 4 === 0 ? 60_000 : 20));
    await waitFor(() => told > 64 && received === 2 * 64, "every message of the subscriber");
  } finally {
    diagnostics.unsubscribe("sealwire.rekey", listener);
  }
  assert.equal(own.state, "open");
});

test("requests are traced from start to outcome, answered or failed", async () => {
  const names = ["start", "end", "asyncStart", "asyncEnd", "error"].map(
    (event) => `tracing:sealwire.request:${event}`,
  );
  await watching(names, async (told) => {
    const { client } = await startPair({ psk: PSK, onMessage: echo }, { psk: PSK });
    const answer = await client.request(new Uint8Array(7));
    const context = only(told.get(names[0]!));
    assert.equal(context.bodyBytes, 7);
    assert.equal(context.connection, client.connections[0]);
    for (const name of names.slice(0, 4)) assert.equal(only(told.get(name)), context, name);
    assert.equal(context.result, answer);
    assert.deepEqual(told.get(names[4]!), []);
    await assert.rejects(client.request(new Uint8Array(1), { signal: AbortSignal.abort() }), {
      code: "ERR_ABORTED",
    });
    assert.equal((only(told.get(names[4]!)).error as { code: string }).code, "ERR_ABORTED");
    assert.throws(() => client.request("text" as unknown as Uint8Array), { code: "ERR_INVALID_ARGUMENT" });
  });
});

/** Runs `body` while each request that starts is given this head; what the traced contexts were. */
async function adding(head: unknown, body: (contexts: Told[]) => Promise<void>): Promise<void> {
  const name = "tracing:sealwire.request:start";
  const contexts: Told[] = [];
  const listener = (message: unknown): void => {
    contexts.push(message as Told);
    (message as Told).head = head;
  };
  diagnostics.subscribe(name, listener);
  try {
    await body(contexts);
  } finally {
    diagnostics.unsubscribe(name, listener);
  }
}

test("what a subscriber puts beside a plain request is its head at the far side, and nothing else changes", async () => {
  const heads: unknown[] = [];
  const onMessage = (message: {
    body: Uint8Array;
    head: CallHead;
    remainingMs: number | undefined;
    reply(body: Uint8Array): boolean;
  }): void => {
    const { traceParent, method, contentType } = message.head;
    heads.push([traceParent, method, contentType, message.remainingMs, message.body.length]);
    message.reply(message.body);
  };
  const { client, server } = await startPair({ psk: PSK, onMessage }, { psk: PSK });
  await client.connected();
  const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const body = Uint8Array.of(1, 2, 3);
  await adding({ traceParent, deadlineMs: 1, streams: true }, async (contexts) => {
    assert.deepEqual(await client.request(body), body);
    assert.equal("head" in contexts[0]!, true);
    assert.deepEqual(await client.request(body, { into: new Uint8Array(3) }), body);
    // The other way round, and from a server.
    await assert.rejects(server.connections[0]!.request(body), { code: "ERR_REMOTE" });
  });
  assert.deepEqual(await client.request(body), body);
  const none = undefined;
  const told = [traceParent, none, none, none, 3];
  assert.deepEqual(heads, [told, told, [none, none, none, none, 3]]);
});

test("a head never makes a request too long that fits without it", async () => {
  const heads: (string | undefined)[] = [];
  const onMessage = (message: {
    body: Uint8Array;
    head: CallHead;
    reply(body: Uint8Array): boolean;
  }): void => {
    heads.push(message.head.traceParent);
    message.reply(message.body.subarray(0, 1));
  };
  const { client } = await startPair({ psk: PSK, onMessage, maxFrameBytes: 300_000 }, { psk: PSK });
  const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  // Before the peer's settings are known, and at its limit afterwards.
  await adding({ traceParent }, async () => {
    await client.request(new Uint8Array(290_000));
    await client.request(new Uint8Array(290_000));
    let longest = 300_000;
    for (; longest > 299_900; longest--) {
      try {
        await client.request(new Uint8Array(longest));
        break;
      } catch (error) {
        assert.equal((error as { code: string }).code, "ERR_MESSAGE_TOO_LARGE");
      }
    }
    assert.ok(longest > 299_900, "the longest body was found");
  });
  assert.equal(heads.at(-1), undefined, "at the limit it goes without");
  assert.equal(heads[1], traceParent);
});

test("a head that is none is the subscriber's mistake, told at once; protocol v1 sends none", async () => {
  const { client } = await startPair({ psk: PSK, onMessage: echo }, { psk: PSK });
  await adding({ traceParent: "x".repeat(300) }, async () => {
    assert.throws(() => client.request(new Uint8Array(1)), { code: "ERR_INVALID_ARGUMENT" });
  });
  await client.request(new Uint8Array(1));
  const handshake = monteV1();
  const old = await startPair({ handshake, onMessage: echo }, { handshake });
  const contexts = await new Promise<Told[]>((resolve, reject) => {
    watching(["tracing:sealwire.request:start"], async (told) => {
      await old.client.request(new Uint8Array(1));
      resolve(told.get("tracing:sealwire.request:start")!);
    }).catch(reject);
  });
  assert.equal("head" in only(contexts), false);
  await adding({ traceParent: "any" }, async () => {
    assert.deepEqual(await old.client.request(Uint8Array.of(9)), Uint8Array.of(9));
  });
});

test("calls are counted and traced as requests are, once each, and refused ones tell a full queue", async () => {
  const names = ["start", "asyncEnd", "error"].map((event) => `tracing:sealwire.request:${event}`);
  await watching([...names, "sealwire.queue.full"], async (told) => {
    const release: (() => void)[] = [];
    const onMessage = (message: { reply(body: Uint8Array): boolean }) =>
      new Promise<void>((resolve) => release.push(resolve)).then(() => void message.reply(new Uint8Array(2)));
    const { client } = await startPair(
      { psk: PSK, onMessage },
      { psk: PSK, maxConnections: 1, maxInFlightRequests: 1 },
    );
    const call = client.call(new Uint8Array(9));
    await client.connected();
    assert.equal(client.stats.requests, 1);
    await assert.rejects(client.call(new Uint8Array(1)).answer, { code: "ERR_TOO_MANY_REQUESTS" });
    assert.equal(client.stats.requests, 1);
    assert.equal(only(told.get("sealwire.queue.full")).code, "ERR_TOO_MANY_REQUESTS");
    await waitFor(() => told.get(names[2]!)!.length === 1, "the refused call to be traced to its end");
    await waitFor(() => release.length === 1, "the call to arrive");
    release[0]!();
    const answer = await call.answer;
    const context = told.get(names[0]!)!.find(({ bodyBytes }) => bodyBytes === 9)!;
    await waitFor(() => told.get(names[1]!)!.includes(context), "the call to be traced to its end");
    assert.equal(context.result, answer);
    assert.throws(() => client.call("text" as unknown as Uint8Array), { code: "ERR_INVALID_ARGUMENT" });
  });
});

test("calls that wait for one of several endpoints tell a full queue, too", async () => {
  await watching(["sealwire.queue.full"], async (told) => {
    const client = startClient({
      psk: PSK,
      endpoints: () => new Promise<never>(() => {}),
      maxConnections: 1,
      maxInFlightRequests: 1,
    });
    const first = client.request(new Uint8Array(1));
    await assert.rejects(client.request(new Uint8Array(1)), { code: "ERR_TOO_MANY_REQUESTS" });
    const { connection, code } = only(told.get("sealwire.queue.full"));
    assert.deepEqual([connection, code], [undefined, "ERR_TOO_MANY_REQUESTS"]);
    await Promise.all([client.close(), assert.rejects(first, { code: "ERR_CLOSED" })]);
  });
});

test("endpoints that join, fail, are probed and leave, and lookups that fail, each with its reason", async () => {
  const names = ["joined", "failed", "probed", "left"].map((event) => `sealwire.endpoint.${event}`);
  await watching([...names, "sealwire.lookup.failed"], async (told) => {
    const [joined, failed, probed, left] = names.map((name) => told.get(name)!) as [
      Told[],
      Told[],
      Told[],
      Told[],
    ];
    const serving = (port: number) => startServer({ psk: PSK, port, onMessage: echo });
    const [a, b] = [await serving(0), await serving(await freePort())];
    let list = [a, b];
    let failure: Error | undefined;
    const client = startClient({
      psk: PSK,
      endpoints: () => {
        if (failure !== undefined) throw failure;
        return list.map(({ port }) => ({ port }));
      },
    });
    const call = () => client.request(new Uint8Array(1)).catch(() => {});
    const portOf = ({ endpoint }: Told) => (endpoint as { port: number }).port;
    await call();
    assert.deepEqual(joined.map(portOf), [a.port, b.port]);
    assert.ok(joined.every((message) => message.client === client));
    assert.deepEqual(
      client.stats.endpoints!.map(({ probeInMs }) => probeInMs),
      [0, 0],
    );
    await b.close();
    await waitFor(() => {
      void call();
      return failed.length > 0;
    }, "the one to fail");
    const { error, pauseMs, endpoint } = failed[0]!;
    assert.equal(portOf(failed[0]!), b.port);
    assert.match((error as { code: string }).code, /^ERR_(DIAL_FAILED|CONNECTION_LOST|HANDSHAKE)$/);
    assert.ok((pauseMs as number) > 0);
    assert.equal((endpoint as { state: string }).state, "failing");
    assert.ok((endpoint as { probeInMs: number }).probeInMs > 0);
    await waitFor(() => {
      void call();
      return probed.length > 0;
    }, "a probe that fails");
    assert.deepEqual(
      [portOf(probed[0]!), (probed[0]!.error as { code: string }).code],
      [b.port, "ERR_DIAL_FAILED"],
    );
    await serving(b.port);
    await waitFor(() => {
      void call();
      return probed.at(-1)!.error === undefined;
    }, "a probe that opens it");
    assert.equal((probed.at(-1)!.endpoint as { state: string }).state, "open");
    assert.equal(left.length, 0);
    // A server that drains makes the client look again.
    const lookAgain = () => {
      for (const connection of a.connections) void connection.close();
      void call();
    };
    failure = new Error("the registry is down");
    await waitFor(() => {
      lookAgain();
      return told.get("sealwire.lookup.failed")!.length > 0;
    }, "a lookup that fails");
    assert.deepEqual(told.get("sealwire.lookup.failed")![0], { client, error: failure });
    assert.equal(client.stats.lookupError, failure);
    failure = undefined;
    list = [a];
    await waitFor(() => {
      lookAgain();
      return left.length > 0;
    }, "the one that is not listed to leave");
    assert.deepEqual([portOf(left[0]!), left[0]!.reason], [b.port, "unlisted"]);
    await waitFor(() => client.stats.inFlightRequests === 0, "the calls to end");
    const closed = client.close();
    assert.equal(left.length, 1, "nothing is told inside of a call");
    await closed;
    assert.deepEqual([left.length, portOf(left[1]!), left[1]!.reason], [2, a.port, "closed"]);
    assert.equal(joined.length, 2);
  });
});

test("one subscriber of one of the five tracing channels is enough", async () => {
  for (const event of ["start", "asyncEnd"]) {
    const name = `tracing:sealwire.request:${event}`;
    await watching([name], async (told) => {
      const { client } = await startPair({ psk: PSK, onMessage: echo }, { psk: PSK });
      await client.request(new Uint8Array(1));
      assert.equal(only(told.get(name)).bodyBytes, 1);
    });
  }
});

test("stats count what happened, on connections, clients and servers, and never go down", async () => {
  const { server, client } = await startPair({ psk: PSK, onMessage: echo }, { psk: PSK, maxConnections: 1 });
  await client.request(new Uint8Array(1_000));
  await client.request(new Uint8Array(1_000));
  const [near, far] = [client.connections[0]!, server.connections[0]!];
  const before = near.stats;
  assert.equal(before.requests, 2);
  assert.ok(before.sentBytes > 2_000 && before.receivedBytes > 2_000);
  await waitFor(
    () => far.stats.receivedBytes === near.stats.sentBytes,
    "what one end sent to be what the other received",
  );
  await waitFor(() => near.stats.receivedBytes === far.stats.sentBytes, "and back");
  assert.equal(far.stats.requests, 0);
  const total = client.stats;
  assert.deepEqual(
    [total.connections, total.openedConnections, total.failedConnections, total.requests],
    [1, 1, 0, 2],
  );
  await near.close();
  await client.request(new Uint8Array(1));
  const later = client.stats;
  assert.deepEqual([later.openedConnections, later.requests], [2, 3]);
  assert.ok(later.sentBytes > total.sentBytes && later.receivedBytes > total.receivedBytes);
  await waitFor(() => server.stats.openedConnections === 2, "the server to count both");
  assert.ok(server.stats.receivedBytes >= later.sentBytes);
  await client.close();
  assert.equal(client.stats.sentBytes >= later.sentBytes, true);
  await waitFor(() => server.stats.connections === 0, "the server's connection to go");
  assert.ok(server.stats.sentBytes > 2_000);
});
