// Bundles from a peer that finished the handshake: malformed bundles, and every record that a bundle may contain.

import assert from "node:assert/strict";
import { encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawListener, u32 } from "../../support/rawPeer.ts";
import { type RawFrame, type RawSession, record } from "../../support/rawSession.ts";
import {
  assertSameBytes,
  checkLeaksAfterEachTest,
  fromText,
  patternBytes,
  rejectsWith,
  startClient,
  text,
} from "../../support/rpcHarness.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const oneWay = (body: string): Uint8Array => record(0, Kind.message, text(body));

/** The frame of a bundle with this body, of records or not. */
function bundle(session: RawSession, ...parts: Uint8Array[]): Uint8Array {
  return session.seal(0, concat(...parts), Kind.bundle);
}

async function attack(victim: Victim): Promise<RawSession> {
  return v2.rawSession(await victim.connect(), "client");
}

test("malformed bundles end their connection, and no other", async () => {
  const victim = await Victim.start(v2);
  const attempts: { what: string; parts: Uint8Array[] }[] = [
    { what: "an empty bundle", parts: [] },
    ...[1, 2, 3, 4].map((n) => ({ what: `${n} bytes of a record`, parts: [new Uint8Array(n)] })),
    ...[0, 1, 2, 3, 4].map((n) => ({ what: `a record of ${n} bytes`, parts: [u32(n), new Uint8Array(n)] })),
    ...[0, 1, 2, 3, 4].map((n) => ({
      what: `a record that says ${n} bytes and has more`,
      parts: [u32(n), record(0, Kind.message, text("hidden"))],
    })),
    { what: "a record that is cut in its header", parts: [u32(5), new Uint8Array(4)] },
    { what: "a record that is cut by one byte", parts: [oneWay("cut").subarray(0, 11)] },
    ...[6, 21, 22, 23, 65_536, 0x7fffffff, 0x80000000, 0xfffffffb, 0xfffffffc, 0xffffffff].map((n) => ({
      what: `a record of 5 bytes that says ${n}`,
      parts: [u32(n), u32(0), new Uint8Array([Kind.message])],
    })),
    { what: "a bundle in a bundle", parts: [record(0, Kind.bundle, oneWay("nested"))] },
    { what: "an empty bundle in a bundle", parts: [record(0, Kind.bundle, EMPTY)] },
    {
      what: "a record with the padding flag",
      parts: [record(0, Kind.message | 0x80, concat(text("padded"), new Uint8Array([0, 2])))],
    },
    {
      what: "a bundle with the padding flag in a bundle",
      parts: [record(0, Kind.bundle | 0x80, concat(oneWay("nested"), new Uint8Array([0, 2])))],
    },
    ...[9, 10, 17, 63, 255].map((kind) => ({
      what: `a record of kind ${kind}`,
      parts: [record(0, kind, text("?"))],
    })),
    {
      what: "a request with the server's parity",
      parts: [record(2, Kind.message, text("even, from a client"))],
    },
    { what: "a message after close", parts: [record(0, Kind.close, EMPTY), oneWay("late")] },
    { what: "a pong after close", parts: [record(0, Kind.close, EMPTY), record(0, Kind.pong, EMPTY)] },
    { what: "close twice", parts: [record(0, Kind.close, EMPTY), record(0, Kind.close, EMPTY)] },
  ];
  for (const { what, parts } of attempts) {
    const session = await attack(victim);
    session.peer.write(bundle(session, ...parts));
    await victim.expectClosed(session.peer, "ERR_PROTOCOL", what);
    assert.deepEqual(victim.takeHandled(), [], what);
    session.destroy();
    // The same behind good records: those count, whatever is wrong later. After a close nothing would be good.
    const second = await attack(victim);
    second.peer.write(bundle(second, oneWay("good"), oneWay(""), ...(parts.length === 0 ? [u32(5)] : parts)));
    await victim.expectClosed(second.peer, "ERR_PROTOCOL", `${what}, behind good ones`);
    assert.deepEqual(victim.takeHandled().map(fromText), ["good", ""], what);
    second.destroy();
    // And in a large frame.
    const third = await attack(victim);
    const large = record(0, Kind.message, patternBytes(70_000));
    third.peer.write(bundle(third, large, ...(parts.length === 0 ? [u32(5)] : parts)));
    await victim.expectClosed(third.peer, "ERR_PROTOCOL", `${what}, in a large frame`);
    assert.deepEqual(
      victim.takeHandled().map((body) => body.length),
      [70_000],
      what,
    );
    third.destroy();
  }
});

test("impossible padding of bundles", async () => {
  const victim = await Victim.start(v2);
  const flagged = Kind.bundle | 0x80;
  const attempts: { what: string; body: Uint8Array }[] = [
    { what: "nothing but padding", body: new Uint8Array([0, 0, 3]) },
    { what: "padding of 1 byte", body: concat(oneWay("x"), new Uint8Array([0, 1])) },
    { what: "padding longer than the body", body: concat(oneWay("x"), new Uint8Array([1, 0])) },
    { what: "padding that cuts into the last record", body: concat(oneWay("x"), new Uint8Array([0, 3])) },
    { what: "padding that leaves a byte", body: concat(oneWay("x"), new Uint8Array([0, 0, 2])) },
  ];
  const reached = new Set(["padding that leaves a byte"]);
  for (const { what, body } of attempts) {
    const session = await attack(victim);
    session.peer.write(session.seal(0, body, flagged));
    await victim.expectClosed(session.peer, "ERR_PROTOCOL", what);
    assert.deepEqual(victim.takeHandled().map(fromText), reached.has(what) ? ["x"] : [], what);
    session.destroy();
  }
  const session = await attack(victim);
  session.peer.write(
    session.seal(0, concat(oneWay("x"), oneWay("y"), new Uint8Array([0, 0, 0, 4])), flagged),
  );
  session.peer.write(session.seal(1, text("served")));
  assert.equal(fromText((await session.receive()).body), "served");
  assert.deepEqual(victim.takeHandled().map(fromText), ["x", "y", "served"]);
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("frames behind a close in a bundle", async () => {
  const victim = await Victim.start(v2);
  const session = await attack(victim);
  session.peer.write(
    concat(
      bundle(session, oneWay("before"), record(0, Kind.drain, EMPTY), record(0, Kind.close, EMPTY)),
      session.seal(0, text("late")),
    ),
  );
  await victim.expectClosed(session.peer, "ERR_PROTOCOL", "a frame after the bundle");
  assert.deepEqual(victim.takeHandled().map(fromText), ["before"]);
  session.destroy();
});

test("a bundle of one record, of empty bodies, and of everything that may stand in one", async () => {
  const victim = await Victim.start(v2);
  const session = await attack(victim);
  session.peer.write(session.sealBundle(record(1, Kind.message, text("alone"))));
  const alone = await session.receive();
  assert.deepEqual([alone.kind, alone.sequence, fromText(alone.body)], [Kind.reply, 1, "alone"]);

  session.peer.write(
    session.sealBundle(
      oneWay("one way"),
      record(3, Kind.message, text("first")),
      record(0, Kind.message, EMPTY),
      record(3, Kind.cancel, EMPTY),
      record(0, Kind.pong, EMPTY),
      record(0, 64, text("reserved")),
      record(1_000, 127, EMPTY),
      record(9, Kind.ping, EMPTY),
      record(5, Kind.message, EMPTY),
    ),
  );
  // What the server says to all that leaves in one frame, too.
  const answers = [await session.receive(), await session.receive(), await session.receive()];
  assert.deepEqual(
    answers.map(({ kind, sequence, body }) => [kind, sequence, fromText(body)]),
    [
      [Kind.reply, 3, "first"],
      [Kind.pong, 9, ""],
      [Kind.reply, 5, ""],
    ],
  );
  assert.deepEqual(victim.takeHandled().map(fromText), ["alone", "one way", "first", "", ""]);

  // The sequence of the bundle itself says nothing; the end may be in one.
  session.peer.write(session.seal(1_234, concat(oneWay("last"), record(0, Kind.drain, EMPTY)), Kind.bundle));
  assert.equal((await session.receive()).kind, Kind.drain);
  assert.equal((await session.receive()).kind, Kind.close);
  session.peer.write(session.sealBundle(record(0, Kind.pong, EMPTY), record(0, Kind.close, EMPTY)));
  session.peer.socket.end();
  assert.equal(await victim.closed(session.peer), undefined);
  assert.deepEqual(victim.takeHandled().map(fromText), ["last"]);
  session.destroy();
});

test("replies and errors in bundles reach their requests, in any order", async () => {
  const listener = await RawListener.listen();
  const client = startClient({ ...v2.options, port: listener.port, maxConnections: 1 });
  const into = new Uint8Array(8);
  const calls = Array.from({ length: 6 }, (_, i) =>
    client.request(text(`call ${i}`), i === 3 ? { into } : undefined),
  );
  const failed = rejectsWith(calls[2]!, "ERR_REMOTE");
  const lost = rejectsWith(calls[5]!, "ERR_CONNECTION_LOST");
  const session = await v2.rawSession(await listener.accept(), "server");
  const asked: RawFrame[] = [];
  for (let i = 0; i < 6; i++) asked.push(await session.receive());
  assert.deepEqual(
    asked.map(({ body }) => fromText(body)),
    Array.from({ length: 6 }, (_, i) => `call ${i}`),
  );
  const number = (i: number): number => asked[i]!.sequence;
  session.peer.write(
    concat(
      session.sealBundle(
        record(number(4), Kind.reply, text("four")),
        record(number(2), Kind.error, encodeError(Origin.handler, "ERR_NO", "the reason")),
        record(number(0), Kind.reply, EMPTY),
      ),
      session.sealBundle(
        record(number(3), Kind.reply, text("three")),
        record(number(1), Kind.reply, patternBytes(40_000)),
      ),
    ),
  );
  assert.equal(fromText(await calls[4]!), "four");
  assert.equal((await calls[0]!).length, 0);
  assert.equal(fromText(await calls[3]!), "three");
  assert.equal(fromText(into.subarray(0, 5)), "three");
  assertSameBytes(await calls[1]!, patternBytes(40_000));
  const error = await failed;
  assert.deepEqual([error.remoteCode, error.message], ["ERR_NO", "the reason"]);
  session.peer.write(session.sealBundle(record(0, Kind.drain, EMPTY), record(0, Kind.close, EMPTY)));
  await lost;
  session.peer.socket.end();
  await session.peer.ended();
  session.destroy();
  await session.peer.destroy();
  await client.close();
  await listener.close();
});
