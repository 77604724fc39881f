import assert from "node:assert/strict";
import type { Connection, Message } from "../../../src/index.ts";
import { test } from "../../support/harness.ts";
import { protocols, v1 } from "../../support/protocols.ts";
import { RawPeer } from "../../support/rawPeer.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  type Deferred,
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
  throwsWith,
  waitFor,
} from "../../support/rpcHarness.ts";

const MEBIBYTE = 1_048_576;

checkLeaksAfterEachTest();

/** A handler that answers only when told, and counts what it holds. */
class Gate {
  readonly released: Deferred<void> = deferred();
  held = 0;
  most = 0;
  total = 0;

  readonly onMessage = async (message: Message) => {
    this.total++;
    this.held++;
    this.most = Math.max(this.most, this.held);
    await this.released.promise;
    this.held--;
    if (message.expectsReply) message.reply(message.body);
  };
}

for (const protocol of protocols) {
  const { name, options, headerBytes, withKinds } = protocol;
  test(`${name}: a quiet client uses one connection, a busy one up to maxConnections`, async () => {
    const gate = new Gate();
    const { server, client } = await startPair(
      { ...options, onMessage: gate.onMessage },
      { ...options, maxConnections: 3 },
    );
    const few = Array.from({ length: 20 }, (_, i) => client.request(text(String(i))));
    await waitFor(() => gate.held === 20, "a few requests");
    assert.equal(client.stats.connections, 1);
    // Calls stay on the open connections until another one is open: it takes its part of the next calls.
    const many: Promise<Uint8Array>[] = [];
    for (const connections of [2, 3, 3]) {
      for (let i = 0; i < 200; i++) many.push(client.request(text(String(many.length))));
      await waitFor(() => client.connections.length === connections, `${connections} connections`);
    }
    await waitFor(() => gate.held === 620, "many requests");
    assert.equal(client.stats.connections, 3);
    assert.equal(server.connections.length, 3);
    const loads = server.connections.map((connection) => connection.remoteAddress);
    assert.equal(loads.length, 3);
    const inFlight = client.connections.map((connection) => connection.inFlightRequests);
    assert.ok(Math.min(...inFlight) >= 100, `uneven: ${inFlight}`);
    gate.released.resolve();
    const answers = await Promise.all([...few, ...many]);
    answers.forEach((answer, i) => {
      assert.equal(fromText(answer), String(i < 20 ? i : i - 20));
    });
  });

  test(`${name}: a body for which the first connection has no room goes to another one`, async () => {
    const held: Message[] = [];
    const { server, client } = await startPair(
      { ...options, onMessage: (message) => void (message.expectsReply && held.push(message)) },
      {
        ...options,
        maxConnections: 2,
        maxInFlightRequests: 2,
        maxFrameBytes: 65_536,
        maxPendingBytes: 65_536,
      },
    );
    // The second request finds the open connection busy, and another one is dialled.
    await client.connected();
    const answers = [client.request(text("1")), client.request(text("2"))];
    await waitFor(() => held.length === 2 && client.connections.length === 2, "the second connection");
    for (const message of held.splice(0)) message.reply(text("done"));
    await Promise.all(answers);
    // Both in one turn, so that the first body still waits when the second one is given.
    const large = new Uint8Array(65_500);
    await Promise.all([client.send(text("short")), client.send(large)]);
    const sent = client.send(text("short"));
    const answer = client.request(large);
    await sent;
    await waitFor(() => held.length === 1, "the request");
    held[0]!.reply(text("done"));
    assert.equal(fromText(await answer), "done");
    assert.equal(server.connections.length, 2);
  });

  test(`${name}: requests in flight`, async () => {
    const gate = new Gate();
    const { client } = await startPair(
      { ...options, onMessage: gate.onMessage },
      { ...options, maxConnections: 1, maxInFlightRequests: 10 },
    );
    const taken = Array.from({ length: 10 }, () => client.request(text("a")));
    await rejectsWith(client.request(text("one too many")), "ERR_TOO_MANY_REQUESTS");
    await client.send(text("one-way messages are not requests"));
    gate.released.resolve();
    await Promise.all(taken);
    assert.equal(fromText(await client.request(text("room again"))), "room again");
  });

  test(`${name}: concurrent handlers: reading pauses, nothing is lost`, async () => {
    const gate = new Gate();
    const { client } = await startPair(
      { ...options, onMessage: gate.onMessage, maxConcurrentHandlers: 8 },
      { ...options, maxConnections: 1 },
    );
    const answers = Array.from({ length: 500 }, (_, i) => client.request(patternBytes(2_000, i)));
    await waitFor(() => gate.held >= 8, "the first handlers");
    await sleep(50);
    assert.ok(gate.held <= 8, `${gate.held} handlers run`);
    gate.released.resolve();
    const bodies = await Promise.all(answers);
    bodies.forEach((body, i) => {
      assertSameBytes(body, patternBytes(2_000, i));
    });
    assert.ok(gate.most <= 8, `${gate.most} handlers ran at once`);
  });

  test(`${name}: a slow reader: the sender is held back, nothing is lost, memory stays bounded`, async () => {
    const gate = new Gate();
    let received = 0;
    const { client } = await startPair(
      {
        ...options,
        maxConcurrentHandlers: 1,
        onMessage: async (message) => {
          const number = new DataView(message.body.buffer, message.body.byteOffset).getUint32(0);
          assert.equal(number, received++);
          assertSameBytes(message.body.subarray(4), patternBytes(20_000, number));
          await gate.released.promise;
        },
      },
      { ...options, maxConnections: 1, highWaterMarkBytes: 500_000, maxPendingBytes: 2 * MEBIBYTE },
    );
    const numbered = (number: number) => {
      const body = new Uint8Array(20_004);
      new DataView(body.buffer).setUint32(0, number);
      body.set(patternBytes(20_000, number), 4);
      return body;
    };
    let sent = 0;
    // The kernel takes some megabytes, then the high-water mark is reached.
    for (let quiet = 0; quiet < 20; ) {
      if (client.sendNoWait(numbered(sent))) {
        sent++;
        quiet = 0;
      } else {
        quiet++;
        await sleep(5);
      }
      assert.ok(client.stats.pendingBytes <= 500_000 + 21_000, `${client.stats.pendingBytes} bytes wait`);
      assert.ok(sent < 5_000, "100 MB were taken although nobody reads");
    }
    // send() takes more, up to the hard limit.
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 200; i++) {
      const sending = client.send(numbered(sent));
      const refused = await Promise.race([
        sending.then(
          () => false,
          () => true,
        ),
        sleep(0).then(() => false),
      ]);
      if (refused) {
        await rejectsWith(sending, "ERR_BACKPRESSURE");
        break;
      }
      waiting.push(sending);
      sent++;
    }
    assert.ok(
      waiting.length > 10 && waiting.length < 200,
      `send() was refused after ${waiting.length} messages`,
    );
    assert.ok(client.stats.pendingBytes <= 2 * MEBIBYTE + 21_000, `${client.stats.pendingBytes} bytes wait`);
    await rejectsWith(client.request(numbered(sent)), "ERR_BACKPRESSURE");
    assert.equal(client.sendNoWait(text("x")), false);
    gate.released.resolve();
    await Promise.all(waiting);
    await waitFor(() => received === sent, "everything that was sent");
  });

  // Protocol v2 goes on reading, whatever its handlers do: there it is the socket that nobody reads.
  test(`${name}: a peer that does not take its answers has no more of its requests handled`, async () => {
    let handled = 0;
    const answer = patternBytes(500_000);
    const server = await startServer({
      ...options,
      maxPendingBytes: MEBIBYTE,
      // Also how many frames are handled between two looks at the bytes that wait.
      maxConcurrentHandlers: 4,
      onMessage: (message) => {
        handled++;
        message.reply(answer);
      },
    });
    const session = await protocol.rawSession(await RawPeer.connect(server.port), "client");
    await waitFor(() => server.connections.length === 1, "the server's end to open");
    const connection = server.connections[0] as Connection;
    session.peer.socket.pause();
    for (let i = 0; i < 200; i++) session.peer.write(session.seal(2 * i + 1, new Uint8Array(1)));
    for (let last = -1; last !== handled || handled === 0; ) {
      last = handled;
      await sleep(100);
    }
    assert.ok(handled < 200, "every request was handled although no answer was taken");
    assert.ok(connection.pendingBytes <= MEBIBYTE + 5 * 500_100, `${connection.pendingBytes} bytes wait`);
    session.peer.socket.resume();
    for (let i = 0; i < 200; i++) {
      const { sequence, body } = await session.receive();
      assert.equal(sequence, 2 * i + 1);
      assertSameBytes(body, answer);
    }
    assert.equal(handled, 200);
    session.destroy();
    await session.peer.destroy();
  });

  test(`${name}: the longest body that fits, and one byte more`, async () => {
    // Protocol v2 takes frames of 64 KiB from everybody.
    const maxFrameBytes = withKinds ? 70_000 : 10_000;
    const limits = { ...options, maxFrameBytes };
    const { client } = await startPair({ ...limits, onMessage: echo }, limits);
    const longest = maxFrameBytes - 16 - headerBytes;
    assertSameBytes(await client.request(patternBytes(longest)), patternBytes(longest));
    for (const call of [
      () => client.request(patternBytes(longest + 1)),
      () => client.send(patternBytes(longest + 1)),
      () => client.sendNoWait(patternBytes(longest + 1)),
    ]) {
      throwsWith(call, "ERR_MESSAGE_TOO_LARGE");
    }
    assert.equal(fromText(await client.request(text("still usable"))), "still usable");
  });

  test(`${name}: an answer that the peer would refuse is the handler's mistake`, async () => {
    const codes: string[] = [];
    const maxFrameBytes = withKinds ? 70_000 : 10_000;
    const limits = { ...options, maxFrameBytes };
    const { client } = await startPair(
      {
        ...limits,
        onMessage: (message) => {
          const tooLong = patternBytes(maxFrameBytes);
          codes.push(throwsWith(() => message.reply(tooLong), "ERR_MESSAGE_TOO_LARGE").code);
          message.reply(text("smaller"));
        },
      },
      limits,
    );
    assert.equal(fromText(await client.request(text("x"))), "smaller");
    assert.equal(codes.length, 1);
  });

  if (withKinds) {
    test(`${name}: a peer with a lower limit says so in its settings: a longer body is refused here`, async () => {
      const { client } = await startPair({ ...options, onMessage: echo, maxFrameBytes: 70_000 }, options);
      // Before the peer's settings are here, what is longer than everybody takes waits for them.
      const early = await rejectsWith(client.request(patternBytes(80_000)), "ERR_MESSAGE_TOO_LARGE");
      assert.equal(early.notBegun, true);
      throwsWith(() => client.request(patternBytes(80_000)), "ERR_MESSAGE_TOO_LARGE");
      assertSameBytes(await client.request(patternBytes(69_000)), patternBytes(69_000));
    });

    test(`${name}: a message for many passes by a peer that does not take it, and reaches the others`, async () => {
      const got: number[] = [];
      const onMessage = ({ body }: { body: Uint8Array }): void => void got.push(body.length);
      const server = await startServer({ ...options, maxFrameBytes: 100_000, onMessage: echo });
      const clients = [100_000, 65_536, 100_000].map((maxFrameBytes) =>
        startClient({ ...options, port: server.port, maxFrameBytes, onMessage }),
      );
      // One after the other, so that the server's connections are in this order.
      for (const client of clients) await client.request(text("here"));
      const { connections } = server;
      const body = patternBytes(80_000);
      assert.deepEqual(
        connections.map((connection) => connection.sendNoWait(body)),
        [true, false, true],
      );
      const outcomes = await Promise.allSettled(connections.map((connection) => connection.send(body)));
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      await rejectsWith(connections[1]!.send(body), "ERR_MESSAGE_TOO_LARGE");
      // Longer than this side's own limit: that is the caller's mistake.
      for (const connection of connections.slice(0, 2)) {
        throwsWith(() => connection.sendNoWait(patternBytes(100_001)), "ERR_MESSAGE_TOO_LARGE");
        throwsWith(() => void connection.send(patternBytes(100_001)), "ERR_MESSAGE_TOO_LARGE");
      }
      await waitFor(() => got.length === 4, "the messages");
      assert.deepEqual(got, [80_000, 80_000, 80_000, 80_000]);
    });
  }

  if (!withKinds)
    test(`${name}: a peer with a lower limit closes the connection, and says why to its own side`, async () => {
      const reasons: (string | undefined)[] = [];
      const { client } = await startPair(
        {
          ...options,
          onMessage: echo,
          maxFrameBytes: 10_000,
          onConnectionState: (_connection, state, error) => {
            if (state === "closed") reasons.push(error?.code);
          },
        },
        options,
      );
      await client.request(text("fine"));
      await rejectsWith(client.request(patternBytes(20_000)), "ERR_CONNECTION_LOST");
      assert.deepEqual(reasons, ["ERR_FRAME_TOO_LARGE"]);
      assert.equal(fromText(await client.request(text("a new connection"))), "a new connection");
    });

  /** A server with two places, and the two clients that have them. */
  const fullServer = async (maxConnectionWaitMs: number) => {
    const server = await startServer({ ...options, onMessage: echo, maxConnections: 2, maxConnectionWaitMs });
    const clients = Array.from({ length: 2 }, () =>
      startClient({ ...options, port: server.port, maxConnections: 1 }),
    );
    for (const client of clients) await client.request(text("in"));
    return { server, clients };
  };

  test(`${name}: a full server turns connections away that have waited`, async () => {
    const { server, clients } = await fullServer(100);
    const outside = startClient({ ...options, port: server.port, maxConnections: 1 });
    const error = await rejectsWith(outside.request(text("no place")), "ERR_HANDSHAKE");
    assert.match(error.message, /closed|lost/);
    assert.equal(server.refusedConnections, 1);
    for (const client of clients) assert.equal(fromText(await client.request(text("still in"))), "still in");
    await clients[0]!.close();
    assert.equal(fromText(await outside.request(text("room again"))), "room again");
  });

  test(`${name}: one that waits at a full server gets the place of one that leaves`, async () => {
    const { server, clients } = await fullServer(60_000);
    const waiting = startClient({ ...options, port: server.port, maxConnections: 1 });
    const answer = waiting.request(text("patience"));
    await waitFor(() => server.waitingSockets === 1, "the connection to wait");
    await clients[0]!.close();
    assert.equal(fromText(await answer), "patience");
    assert.equal(server.refusedConnections, 0);
  });

  test(`${name}: handshakes that nobody finishes don't lock others out for long`, async () => {
    const server = await startServer({
      ...options,
      onMessage: echo,
      maxHandshakes: 4,
      // Longer than a busy machine may keep this process from running: it is the good client's limit, too.
      handshakeTimeoutMs: 4_000,
      maxConnectionWaitMs: 60_000,
    });
    const silent = await Promise.all(Array.from({ length: 4 }, () => RawPeer.connect(server.port)));
    await waitFor(() => server.waitingSockets === 4, "the silent ones to be accepted");
    const client = startClient({ ...options, port: server.port, handshakeTimeoutMs: 30_000 });
    assert.equal(fromText(await client.request(text("after the time-out"))), "after the time-out");
    for (const peer of silent) {
      await peer.ended();
      await peer.destroy();
    }
  });
}

test("v1: the peer's own limit is respected", async () => {
  const { monteV1 } = await import("../../../src/index.ts");
  const server = await startServer({ ...v1.options, onMessage: echo });
  const client = startClient({ handshake: monteV1({ peerMaxFrameBytes: 4_096 }), port: server.port });
  assertSameBytes(await client.request(patternBytes(4_076)), patternBytes(4_076));
  throwsWith(() => client.request(patternBytes(4_077)), "ERR_MESSAGE_TOO_LARGE");
});

test("v1: memory is taken as bytes arrive, not as announced", async () => {
  const server = await startServer({ ...v1.options, onMessage: echo, maxFrameBytes: 0x40000000 });
  const peers: RawPeer[] = [];
  const before = process.memoryUsage();
  for (let i = 0; i < 20; i++) {
    const peer = await RawPeer.connect(server.port);
    const session = await v1.rawSession(peer, "client");
    // Announces 1 GiB, sends 100 bytes of it.
    peer.write(new Uint8Array([0x40, 0, 0, 0, ...new Uint8Array(100)]));
    session.destroy();
    peers.push(peer);
  }
  await waitFor(() => server.connections.length === 20, "all connections");
  await sleep(50);
  const after = process.memoryUsage();
  const grown = after.rss - before.rss;
  assert.ok(grown < 100 * MEBIBYTE, `20 announcements of 1 GiB cost ${Math.round(grown / MEBIBYTE)} MiB`);
  for (const peer of peers) await peer.destroy();
  await waitFor(() => server.connections.length === 0, "the server to notice");
});
