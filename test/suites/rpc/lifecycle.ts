import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, type Message, SealwireError } from "../../../src/index.ts";
import { closedReason } from "../../../src/rpc/closeReason.ts";
import type { State } from "../../../src/rpc/lifecycle.ts";
import { freePort } from "../../support/freePorts.ts";
import { test } from "../../support/harness.ts";
import { protocols } from "../../support/protocols.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  patternBytes,
  rejectsWith,
  sleep,
  startClient,
  startPair,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

for (const { name, options, withKinds } of protocols) {
  test(`${name}: client.close() waits for the answers of requests in flight`, async () => {
    const release = deferred();
    const onMessage = async (message: Message) => {
      await release.promise;
      message.reply(message.body);
    };
    const { client } = await startPair({ ...options, onMessage }, options);
    const answers = Promise.all(Array.from({ length: 20 }, (_, i) => client.request(text(String(i)))));
    await client.connected();
    let closed = false;
    const closing = client.close().then(() => {
      closed = true;
    });
    await rejectsWith(client.request(text("too late")), "ERR_CLOSED");
    await rejectsWith(client.send(text("too late")), "ERR_CLOSED");
    assert.equal(client.sendNoWait(text("too late")), false);
    await sleep(50);
    assert.equal(closed, false);
    release.resolve();
    assert.deepEqual(
      (await answers).map(fromText),
      Array.from({ length: 20 }, (_, i) => String(i)),
    );
    await closing;
  });

  test(`${name}: client.close() before anything was sent, and twice`, async () => {
    const { client } = await startPair({ ...options, onMessage: echo }, options);
    const first = client.close();
    assert.equal(client.close(), first);
    await first;
    await client.close();
    await rejectsWith(client.request(text("after")), "ERR_CLOSED");
    await rejectsWith(client.connected(), "ERR_CLOSED");
  });

  test(`${name}: client.close() sends what was accepted before it`, async () => {
    let bytes = 0;
    const { client } = await startPair(
      { ...options, onMessage: (message) => (bytes += message.body.length) },
      { ...options, maxConnections: 1 },
    );
    // Never awaited: the connection is not even dialled when close() is called.
    for (let i = 0; i < 300; i++) assert.equal(client.sendNoWait(patternBytes(1_000)), true);
    await client.close();
    await waitFor(() => bytes === 300_000, "what was sent before close()");
  });

  test(`${name}: server.close() lets running handlers answer`, async () => {
    const release = deferred();
    let started = 0;
    const onMessage = async (message: Message) => {
      started++;
      await release.promise;
      message.reply(patternBytes(100_000));
    };
    const { server, client } = await startPair({ ...options, onMessage }, options);
    const answers = Promise.all(Array.from({ length: 10 }, () => client.request(text("work"))));
    await waitFor(() => started === 10, "all handlers");
    let closed = false;
    const closing = server.close().then(() => {
      closed = true;
    });
    assert.equal(server.close(), server.close());
    await sleep(50);
    assert.equal(closed, false);
    release.resolve();
    for (const answer of await answers) assertSameBytes(answer, patternBytes(100_000));
    await closing;
  });

  test(`${name}: a handler that never ends is cut off after the drain time`, async () => {
    let signal: AbortSignal | undefined;
    const onMessage = (message: Message) => {
      signal = message.signal;
      return new Promise(() => {});
    };
    const { server, client } = await startPair({ ...options, onMessage, drainTimeoutMs: 100 }, options);
    const answer = rejectsWith(client.request(text("work")), "ERR_CONNECTION_LOST");
    await waitFor(() => signal !== undefined, "the handler");
    assert.equal(signal!.aborted, false);
    await server.close();
    await answer;
    assert.equal(signal!.aborted, true);
  });

  test(`${name}: a client whose server went away dials again for the next call`, async () => {
    const first = await startServer({ ...options, port: await freePort(), onMessage: echo });
    const client = startClient({ ...options, port: first.port });
    assert.equal(fromText(await client.request(text("one"))), "one");
    await first.close();
    await waitFor(() => client.connections.length === 0, "the client to notice");
    const second = await startServer({ ...options, port: first.port, onMessage: echo });
    assert.equal(second.port, first.port);
    assert.equal(fromText(await client.request(text("two"))), "two");
  });

  test(`${name}: without a server calls reject, and work again once it is there`, async () => {
    // A Unix socket: a TCP port that this process gave up may belong to the suite that runs beside it.
    const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
    try {
      const path = join(folder, "socket");
      const client = startClient({ ...options, path });
      await rejectsWith(client.request(text("a")), "ERR_DIAL_FAILED");
      await rejectsWith(client.send(text("a")), "ERR_DIAL_FAILED");
      const error = await rejectsWith(client.connected(), "ERR_DIAL_FAILED");
      assert.ok(error.cause !== undefined);
      const server = await startServer({ ...options, path, onMessage: echo });
      assert.equal(fromText(await client.request(text("b"))), "b");
      await client.close();
      await server.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test(`${name}: keepConnected dials at once and again after a loss`, async () => {
    const opened: Connection[] = [];
    // A Unix socket: a TCP port that was given up may be somebody else's a moment later.
    const folder = mkdtempSync(join(tmpdir(), "sealwire-"));
    const path = join(folder, "socket");
    const server = await startServer({ ...options, path, onMessage: echo });
    const client = startClient({
      ...options,
      path,
      keepConnected: true,
      onConnectionState: (connection, state) => {
        if (state === "open") opened.push(connection);
      },
    });
    await waitFor(() => opened.length === 1, "the first connection");
    await server.close();
    rmSync(path, { force: true });
    const successor = await startServer({ ...options, path, onMessage: echo });
    await waitFor(() => opened.length === 2, "the second connection");
    assert.notEqual(opened[0], opened[1]);
    assert.equal(fromText(await client.request(text("again"))), "again");
    await client.close();
    await successor.close();
    rmSync(folder, { recursive: true });
  });

  test(`${name}: both ends are told of a connection's states, in order`, async () => {
    const states: string[] = [];
    const note =
      (end: string) =>
      (_connection: Connection, state: string, error: SealwireError | undefined): number =>
        states.push(`${end} ${state}${error === undefined ? "" : ` ${error.code}`}`);
    const { server, client } = await startPair(
      { ...options, onMessage: echo, onConnectionState: note("server") },
      { ...options, onConnectionState: note("client") },
    );
    await client.request(text("x"));
    assert.equal(server.connections.length, 1);
    assert.equal(client.connections.length, 1);
    assert.equal(client.connections[0]!.state, "open");
    await client.close();
    await waitFor(() => server.connections.length === 0 && states.includes("server closed"), "the server");
    const of = (end: string) => states.filter((state) => state.startsWith(end));
    assert.deepEqual(of("client"), ["client open", "client draining", "client closed"]);
    assert.deepEqual(of("server"), ["server open", "server draining", "server closed"]);
  });

  test(`${name}: close tells nobody inside of its call, and everybody before it resolves`, async () => {
    let inCall = false;
    const told: string[] = [];
    const note = (_connection: Connection, state: string): void => {
      assert.equal(inCall, false, `told ${state} inside of close`);
      told.push(state);
    };
    const close = async (closes: { close(): Promise<void> }): Promise<void> => {
      inCall = true;
      const closed = closes.close();
      inCall = false;
      await closed;
    };
    const server = await startServer({ ...options, onMessage: echo, onConnectionState: note });
    const client = startClient({ ...options, port: server.port });
    await client.request(text("x"));
    await close(server.connections[0]!);
    assert.deepEqual(told, ["open", "draining", "closed"]);
    await close(server);
    // One that is dialled, and has nothing to wait for.
    told.length = 0;
    const dialling = startClient({
      ...options,
      port: server.port,
      onConnectionState: note,
      keepConnected: true,
    });
    await waitFor(() => dialling.connections.length > 0 || told.length > 0, "a dial");
    await close(dialling);
    assert.ok(told.every((state) => state === "closed"));
  });

  test(`${name}: a handler can close its connection; the caller still gets the answer`, async () => {
    const closed = deferred();
    const { client } = await startPair(
      {
        ...options,
        onMessage: (message) => {
          message.reply(text("bye"));
          message.connection.close().then(closed.resolve);
        },
      },
      options,
    );
    assert.equal(fromText(await client.request(text("hello"))), "bye");
    await closed.promise;
    await waitFor(() => client.connections.length === 0, "the client to notice");
  });

  test(`${name}: close() in both directions at once`, async () => {
    const { server, client } = await startPair(
      { ...options, onMessage: echo },
      { ...options, maxConnections: 1 },
    );
    const answers = Promise.allSettled(
      Array.from({ length: 100 }, () => client.request(patternBytes(5_000))),
    );
    await client.connected();
    await Promise.all([client.close(), server.close()]);
    for (const answer of await answers) {
      if (answer.status === "rejected") assert.match(answer.reason.code, /^ERR_(CONNECTION_LOST|CLOSED)$/);
      else assertSameBytes(answer.value, patternBytes(5_000));
    }
  });

  test(`${name}: close while 8 MiB are being written: all arrive`, async () => {
    let received = 0;
    const { client } = await startPair(
      {
        ...options,
        onMessage: (message) => {
          assertSameBytes(message.body, patternBytes(message.body.length));
          received += message.body.length;
        },
      },
      { ...options, maxConnections: 1 },
    );
    const sends = Array.from({ length: 16 }, () => client.send(patternBytes(524_288)));
    await client.connected();
    await client.close();
    await Promise.all(sends);
    await waitFor(() => received === 16 * 524_288, "all bytes");
  });

  test(`${name}: an idle connection survives its peer's silence and is used again`, async () => {
    const { client } = await startPair(
      { ...options, onMessage: echo, heartbeatIntervalMs: 30, heartbeatTimeoutMs: 5_000 },
      { ...options, heartbeatIntervalMs: 30, heartbeatTimeoutMs: 5_000 },
    );
    await client.request(text("a"));
    const [connection] = client.connections;
    await sleep(200);
    assert.equal(fromText(await client.request(text("b"))), "b");
    assert.deepEqual(client.connections, [connection]);
  });

  if (withKinds) {
    test(`${name}: a closing server tells its clients, which move on`, async () => {
      const [begun, release] = [deferred(), deferred()];
      const first = await startServer({
        ...options,
        onMessage: async (message) => {
          begun.resolve();
          await release.promise;
          message.reply(text("from the first"));
        },
      });
      let drained = false;
      const client = startClient({
        ...options,
        port: first.port,
        maxConnections: 2,
        onConnectionState: (_connection, state) => {
          if (state === "draining") drained = true;
        },
      });
      const early = client.request(text("early"));
      await client.connected();
      await begun.promise;
      const closing = first.close();
      await waitFor(() => drained, "the client to be told");
      const second = await startServer({
        ...options,
        port: first.port,
        onMessage: (m) => m.reply(text("from the second")),
      });
      assert.equal(second.port, first.port);
      assert.equal(fromText(await client.request(text("late"))), "from the second");
      release.resolve();
      assert.equal(fromText(await early), "from the first");
      await closing;
    });

    test(`${name}: an abort reaches the far handler`, async () => {
      const begun = deferred();
      const aborted = deferred<string>();
      const { client } = await startPair(
        {
          ...options,
          onMessage: async (message) => {
            begun.resolve();
            await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
            assert.equal(message.expectsReply, false);
            assert.equal(message.reply(text("nobody waits")), false);
            aborted.resolve((message.signal.reason as SealwireError).code);
          },
        },
        options,
      );
      const controller = new AbortController();
      const answer = client.request(text("work"), { signal: controller.signal });
      await begun.promise;
      controller.abort(new Error("changed my mind"));
      const error = await rejectsWith(answer, "ERR_ABORTED");
      assert.equal((error.cause as Error).message, "changed my mind");
      assert.equal(await aborted.promise, "ERR_ABORTED");
    });
  }
}

// ---- Which error a lost socket gives, by how far the connection was -------------------------------------

const socketError = Object.assign(new Error("reset"), { code: "ECONNRESET" });
const typed = new SealwireError("ERR_DIAL_TIMEOUT", "too slow");
const closedReasons: [state: State, peerClosed: boolean, given: unknown, code: string | undefined][] = [
  ["dialing", false, socketError, "ERR_DIAL_FAILED"],
  ["dialing", false, undefined, "ERR_DIAL_FAILED"],
  ["dialing", false, typed, "ERR_DIAL_TIMEOUT"],
  ["handshaking", false, socketError, "ERR_HANDSHAKE"],
  ["handshaking", false, undefined, "ERR_HANDSHAKE"],
  ["unproven", false, socketError, "ERR_HANDSHAKE"],
  ["open", false, socketError, "ERR_CONNECTION_LOST"],
  ["open", false, undefined, "ERR_CONNECTION_LOST"],
  ["open", true, undefined, "ERR_CONNECTION_LOST"],
  ["draining", false, undefined, "ERR_CONNECTION_LOST"],
  ["draining", true, socketError, "ERR_CONNECTION_LOST"],
  ["closing", false, undefined, "ERR_CONNECTION_LOST"],
  ["closing", true, undefined, undefined],
  ["closing", true, socketError, undefined],
];

for (const [state, peerClosed, given, code] of closedReasons) {
  const said = peerClosed ? ", whose peer said close," : "";
  test(`a socket that closes with ${String(given)} while ${state}${said} gives ${code ?? "no error"}`, () => {
    const reason = closedReason({ state, peerClosed }, "127.0.0.1:7000", given);
    assert.equal(reason?.code, code);
    if (code !== undefined && given !== typed) assert.equal(reason?.cause, given);
    if (code === "ERR_DIAL_FAILED") assert.match(reason!.message, /127\.0\.0\.1:7000/);
  });
}
