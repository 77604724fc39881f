// Wrong frames of a peer that finished the handshake.

import assert from "node:assert/strict";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { protocols, v1, v2 } from "../../support/protocols.ts";
import { concat, RawListener, u32 } from "../../support/rawPeer.ts";
import type { RawSession } from "../../support/rawSession.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  fromText,
  patternBytes,
  rejectsWith,
  startClient,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

for (const protocol of protocols) {
  const { name, headerBytes } = protocol;
  const shortest = headerBytes + 16;

  /** An attacker past the handshake. */
  async function attack(victim: Victim): Promise<RawSession> {
    return protocol.rawSession(await victim.connect(), "client");
  }

  test(`${name}: the raw session is a good one, or the other tests would show nothing`, async () => {
    const victim = await Victim.start(protocol);
    const session = await attack(victim);
    session.peer.write(session.seal(1, text("first")));
    session.peer.write(session.seal(0, text("one way")));
    session.peer.write(session.seal(3, patternBytes(100_000)));
    const first = await session.receive();
    assert.deepEqual([first.sequence, fromText(first.body)], [1, "first"]);
    const second = await session.receive();
    assert.equal(second.sequence, 3);
    assertSameBytes(second.body, patternBytes(100_000));
    session.peer.write(session.seal(0xffffffff, text("the last number")));
    assert.equal((await session.receive()).sequence, 0xffffffff);
    assert.deepEqual(
      victim.takeHandled().map((body) => body.length),
      [5, 7, 100_000, 15],
    );
    session.destroy();
    await session.peer.destroy();
    // Protocol v1 has no close frame: there, the end of the stream is a good end.
    assert.equal(
      (await victim.closed(session.peer))?.code,
      protocol.withKinds ? "ERR_CONNECTION_LOST" : undefined,
    );
  });

  test(`${name}: announced lengths below a header and a tag`, async () => {
    const victim = await Victim.start(protocol);
    for (let length = 0; length < shortest; length++) {
      const session = await attack(victim);
      session.peer.write(u32(length));
      await victim.expectClosed(session.peer, "ERR_FRAME_TOO_SHORT", `length ${length}`);
      session.destroy();
    }
  });

  test(`${name}: announced lengths above the limit are refused by the prefix alone`, async () => {
    const victim = await Victim.start(protocol, { maxFrameBytes: 100_000 });
    for (const length of [100_001, 1_048_577, 0x7fffffff, 0x80000000, 0xffffffff]) {
      const session = await attack(victim);
      session.peer.write(u32(length));
      await victim.expectClosed(session.peer, "ERR_FRAME_TOO_LARGE", `length ${length}`);
      session.destroy();
    }
  });

  test(`${name}: a flipped bit in every byte of a frame`, async () => {
    const victim = await Victim.start(protocol);
    const frameBytes = 4 + shortest + 5;
    for (let at = 4; at < frameBytes; at++) {
      const session = await attack(victim);
      const frame = session.seal(1, text("hello"));
      assert.equal(frame.length, frameBytes);
      frame[at]! ^= 1 << (at & 7);
      session.peer.write(frame);
      await victim.expectClosed(session.peer, "ERR_DECRYPT", `byte ${at}`);
      session.destroy();
    }
    assert.deepEqual(victim.takeHandled(), []);
  });

  test(`${name}: a flipped bit in large frames`, async () => {
    const victim = await Victim.start(protocol);
    for (const at of [4, 10, 1_000, 65_536, 299_999, 300_000 + shortest + 3]) {
      const session = await attack(victim);
      const frame = session.seal(1, patternBytes(300_000));
      frame[at]! ^= 0x80;
      session.peer.write(frame);
      await victim.expectClosed(session.peer, "ERR_DECRYPT", `byte ${at}`);
      session.destroy();
    }
    assert.deepEqual(victim.takeHandled(), []);
  });

  test(`${name}: good frames before a bad one count, the bad one and those after it do not`, async () => {
    const victim = await Victim.start(protocol);
    const session = await attack(victim);
    const frames = Array.from({ length: 20 }, (_, i) => session.seal(0, text(`message ${i}`)));
    frames[13]![10]! ^= 1;
    session.peer.write(concat(...frames));
    await victim.expectClosed(session.peer, "ERR_DECRYPT", "the 14th frame");
    assert.deepEqual(
      victim.takeHandled().map(fromText),
      Array.from({ length: 13 }, (_, i) => `message ${i}`),
    );
    session.destroy();
  });

  test(`${name}: a frame twice, frames in the wrong order, a frame left out`, async () => {
    const victim = await Victim.start(protocol);
    const orders = [
      { what: "replayed", order: [0, 1, 1], delivered: 2 },
      { what: "reordered", order: [0, 2, 1], delivered: 1 },
      { what: "dropped", order: [0, 2], delivered: 1 },
      { what: "the first replayed later", order: [0, 1, 2, 0], delivered: 3 },
    ];
    for (const { what, order, delivered } of orders) {
      const session = await attack(victim);
      const frames = Array.from({ length: 3 }, (_, i) => session.seal(0, text(`message ${i}`)));
      session.peer.write(concat(...order.map((index) => frames[index]!)));
      await victim.expectClosed(session.peer, "ERR_DECRYPT", what);
      assert.equal(victim.takeHandled().length, delivered, what);
      session.destroy();
    }
  });

  test(`${name}: a stream that ends inside a frame`, async () => {
    const victim = await Victim.start(protocol);
    for (const keep of [1, 3, 4, 5, 30, 90_000]) {
      const session = await attack(victim);
      const whole = session.seal(0, text("complete"));
      const cut = session.seal(0, patternBytes(keep > 1_000 ? 100_000 : 100)).subarray(0, keep);
      session.peer.write(concat(whole, cut));
      session.peer.socket.end();
      await victim.expectClosed(session.peer, "ERR_CONNECTION_LOST", `${keep} bytes of a frame`);
      assert.deepEqual(victim.takeHandled().map(fromText), ["complete"]);
      session.destroy();
    }
  });

  test(`${name}: frames one byte at a time`, async () => {
    const victim = await Victim.start(protocol);
    const session = await attack(victim);
    const stream = concat(
      session.seal(0, text("a")),
      session.seal(0, text("")),
      session.seal(1, text("answer me")),
    );
    for (const byte of stream) {
      session.peer.write(new Uint8Array([byte]));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.equal(fromText((await session.receive()).body), "answer me");
    assert.deepEqual(victim.takeHandled().map(fromText), ["a", "", "answer me"]);
    session.destroy();
    await session.peer.destroy();
    await victim.closed(session.peer);
  });

  test(`${name}: a peer that vanishes with calls in flight, in both directions`, async () => {
    const listener = await RawListener.listen();
    const lost: string[] = [];
    const client = startClient({
      ...protocol.options,
      port: listener.port,
      maxConnections: 1,
      onConnectionState: (_connection, state, error) => {
        if (state === "closed") lost.push(error?.code ?? "none");
      },
    });
    const answered = client.request(text("answer this one"));
    const calls = Array.from({ length: 50 }, () =>
      rejectsWith(client.request(patternBytes(10)), "ERR_CONNECTION_LOST"),
    );
    const session = await protocol.rawSession(await listener.accept(), "server");
    const { sequence } = await session.receive();
    session.peer.write(session.seal(sequence, text("the only answer"), Kind.reply));
    assert.equal(fromText(await answered), "the only answer");
    // Not reading what the client still sends makes this a reset.
    session.peer.socket.pause();
    calls.push(rejectsWith(client.request(patternBytes(900_000)), "ERR_CONNECTION_LOST"));
    await session.peer.destroy();
    const errors = await Promise.all(calls);
    for (const error of errors) assert.ok(error.message.length > 0);
    await waitFor(() => lost.length === 1, "the client to note the loss");
    assert.deepEqual(lost, ["ERR_CONNECTION_LOST"]);
    session.destroy();
    await client.close();
    await listener.close();
  });

  // Protocol v2 keeps a request's number until its one end, so there an answer to nothing is a protocol error (below).
  if (protocol === v1)
    test(`${name}: answers to nothing are dropped and counted`, async () => {
      const victim = await Victim.start(protocol);
      const session = await attack(victim);
      await waitFor(() => victim.server.connections.length === 2, "the connection");
      const connection = victim.server.connections[1]!;
      // The server's own requests have even numbers, so these are answers; it has asked nothing.
      for (const sequence of [2, 4, 0xfffffffe])
        session.peer.write(session.seal(sequence, text("answer"), Kind.reply));
      session.peer.write(session.seal(5, text("still usable")));
      assert.equal(fromText((await session.receive()).body), "still usable");
      assert.equal(connection.droppedReplies, 3);
      session.destroy();
      await session.peer.destroy();
      await victim.closed(session.peer);
    });

  test(`${name}: a hostile server cannot hurt its client's other calls`, async () => {
    const listener = await RawListener.listen();
    const client = startClient({ ...protocol.options, port: listener.port, maxConnections: 1 });
    const attempts: { what: string; say: (session: RawSession) => Uint8Array }[] = [
      { what: "a short frame", say: () => u32(3) },
      { what: "a long frame", say: () => u32(0x10000000) },
      { what: "a forged frame", say: () => concat(u32(40), patternBytes(40)) },
      {
        what: "an answer, then a forged frame",
        say: (s) => concat(s.seal(7, text("?"), Kind.reply), u32(40), patternBytes(40)),
      },
    ];
    for (const { what, say } of attempts) {
      const request = rejectsWith(client.request(text(what)), "ERR_CONNECTION_LOST");
      const session = await protocol.rawSession(await listener.accept(), "server");
      assert.equal(fromText((await session.receive()).body), what);
      session.peer.write(say(session));
      const error = await request;
      assert.ok(error.cause !== undefined, what);
      session.destroy();
    }
    const request = client.request(text("honest now"));
    const session = await protocol.rawSession(await listener.accept(), "server");
    const asked = await session.receive();
    session.peer.write(session.seal(asked.sequence, text("answer"), Kind.reply));
    assert.equal(fromText(await request), "answer");
    session.destroy();
    await session.peer.destroy();
    await client.close();
    await listener.close();
  });
}

test("v1: a request with a number of the other side's parity is taken for an answer", async () => {
  const victim = await Victim.start(v1);
  const session = await v1.rawSession(await victim.connect(), "client");
  session.peer.write(session.seal(2, text("even, from a client")));
  session.peer.write(session.seal(1, text("odd")));
  assert.equal((await session.receive()).sequence, 1);
  assert.deepEqual(victim.takeHandled().map(fromText), ["odd"]);
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("v2: well-formed frames that the protocol does not allow", async () => {
  const victim = await Victim.start(v2);
  const padded = (kind: number, tail: number[]) => (session: RawSession) =>
    session.seal(0, new Uint8Array([1, 2, 3, ...tail]), kind | 0x80);
  const attempts: { what: string; say: (session: RawSession) => Uint8Array }[] = [
    ...[9, 10, 17, 63].map((kind) => ({
      what: `kind ${kind}`,
      say: (session: RawSession) => session.seal(0, text("?"), kind),
    })),
    // Nobody waits for the ends of requests that were never made, and nobody can cancel them.
    ...[Kind.reply, Kind.error].map((kind) => ({
      what: `kind ${kind} to nothing`,
      say: (session: RawSession) => session.seal(2, text(""), kind),
    })),
    ...[0, 2, 77].map((sequence) => ({
      what: `a cancel of ${sequence}`,
      say: (session: RawSession) => session.seal(sequence, text(""), Kind.cancel),
    })),
    {
      what: "a request with the server's parity",
      say: (session) => session.seal(2, text("?"), Kind.message),
    },
    { what: "padding of 0 bytes", say: padded(Kind.message, [0, 0]) },
    { what: "padding of 1 byte", say: padded(Kind.message, [0, 1]) },
    { what: "padding longer than the body", say: padded(Kind.message, [0, 6]) },
    { what: "padding of 65,535 bytes", say: padded(Kind.message, [0xff, 0xff]) },
    {
      what: "padding without room for its length",
      say: (s) => s.sealPlaintext(new Uint8Array([0, 0, 0, 0, 0x80, 9])),
    },
    {
      what: "a message after close",
      say: (session) => concat(session.seal(0, text(""), Kind.close), session.seal(0, text("late"))),
    },
  ];
  for (const { what, say } of attempts) {
    const session = await v2.rawSession(await victim.connect(), "client");
    session.peer.write(say(session));
    await victim.expectClosed(session.peer, "ERR_PROTOCOL", what);
    assert.deepEqual(victim.takeHandled(), [], what);
    session.destroy();
  }
});

test("v2: what a peer may say at any time, though it makes no sense", async () => {
  const victim = await Victim.start(v2);
  const session = await v2.rawSession(await victim.connect(), "client");
  const say = (sequence: number, body: string, kind: number) =>
    session.peer.write(session.seal(sequence, text(body), kind));
  say(0, "", Kind.pong);
  say(77, "?", 64);
  say(0, "?", 127);
  say(9, "", Kind.ping);
  const pong = await session.receive();
  assert.deepEqual([pong.kind, pong.sequence], [Kind.pong, 9]);
  say(1, "still usable", Kind.message);
  const answer = await session.receive();
  assert.deepEqual([answer.kind, answer.sequence, fromText(answer.body)], [Kind.reply, 1, "still usable"]);
  // The same number again, while the first is long answered: a new request.
  say(1, "again", Kind.message);
  assert.equal(fromText((await session.receive()).body), "again");
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("v2: an orderly end by hand, and an end without the close frame", async () => {
  const victim = await Victim.start(v2);
  const session = await v2.rawSession(await victim.connect(), "client");
  session.peer.write(session.seal(1, text("last words")));
  assert.equal((await session.receive()).kind, Kind.reply);
  session.peer.write(session.seal(0, text(""), Kind.drain));
  assert.equal((await session.receive()).kind, Kind.drain);
  assert.equal((await session.receive()).kind, Kind.close);
  session.peer.write(session.seal(0, text(""), Kind.close));
  session.peer.socket.end();
  assert.equal(await victim.closed(session.peer), undefined);
  session.destroy();

  const cut = await v2.rawSession(await victim.connect(), "client");
  cut.peer.write(cut.seal(1, text("x")));
  await cut.receive();
  cut.peer.socket.end();
  await victim.expectClosed(cut.peer, "ERR_CONNECTION_LOST", "no close frame");
  cut.destroy();
});
