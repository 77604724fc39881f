// Orders of records that no well-meaning implementation has, sent by hand: numbers far from any that was used, streams
// that are stopped before their handler begins, one number for all requests, drains without end, errors that contradict
// earlier records.

import assert from "node:assert/strict";
import type { Message, SealwireError } from "../../../src/index.ts";
import { encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { encodeReason } from "../../../src/protocol/reason.ts";
import { CHUNK_CONTINUES, Kind } from "../../../src/protocol/wire.ts";
import type { RpcConnection } from "../../../src/rpc/connection.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat } from "../../support/rawPeer.ts";
import { RawSession, record } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  type Deferred,
  deferred,
  fromText,
  rejectsWith,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";
import { startScripted } from "../../support/scriptedServer.ts";
import { steppedPair } from "../../support/steppedPair.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const PSK = v2.options.psk as string;

function callBody(head: [tag: number, value: Uint8Array][], body: Uint8Array = EMPTY): Uint8Array {
  const fields = encodeFields(new Map(head));
  return concat(Uint8Array.of(fields.length >>> 8, fields.length), fields, body);
}

const down = (credit: number): [tag: number, value: Uint8Array] => [6, u32Value(credit)];
const chunk = (bytes: Uint8Array, flags = 0): Uint8Array => concat(Uint8Array.of(flags), bytes);

const OF_STREAMS: readonly [kind: number, body: Uint8Array][] = [
  [Kind.chunk, chunk(text("item"))],
  [Kind.end, EMPTY],
  [Kind.stop, EMPTY],
  [Kind.credit, u32Value(1)],
  [Kind.blocked, EMPTY],
];

/** What concerns one request has no meaning with 0; credit and blocked have another one. */
const zeroOf = (kind: number): number[] => (kind === Kind.credit || kind === Kind.blocked ? [] : [0]);

test("numbers that no request had yet end the connection, however far they are from those that had one", async () => {
  for (const [kind, body] of OF_STREAMS) {
    for (const number of [...zeroOf(kind), 3, 0x7fffffff, 0x80000001, 0xffffffff]) {
      const { client, session, say, ends, leave } = await startScripted();
      const lost = rejectsWith(client.request(text("the first")), "ERR_CONNECTION_LOST");
      assert.equal((await session.receive()).sequence, 1);
      say(number, kind, body);
      await lost;
      assert.deepEqual(ends, ["ERR_PROTOCOL"], `kind ${kind}, number ${number}`);
      await leave();
    }
  }
});

test("the same at a server, also for cancels", async () => {
  const victim = await Victim.start(v2);
  for (const [kind, body] of [...OF_STREAMS, [Kind.cancel, EMPTY] as const]) {
    for (const number of [...zeroOf(kind), 2, 7, 0x7fffffff, 0x80000001, 0xffffffff]) {
      const session = await RawSession.v2(await victim.connect(), "client", PSK);
      session.peer.write(concat(session.seal(5, text("once")), session.seal(number, body, kind)));
      await victim.expectClosed(session.peer, "ERR_PROTOCOL", `kind ${kind}, number ${number}`);
      victim.takeHandled();
      session.destroy();
    }
  }
  await victim.checkServing();
});

test("one number for all requests, each free again when it is used", async () => {
  const victim = await Victim.start(v2, {
    onMessage: (message: Message) => void message.reply(message.body),
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  for (let i = 0; i < 300; i++) {
    session.peer.write(session.seal(1, text(`${i}`)));
    const reply = await session.receive();
    assert.deepEqual([reply.sequence, reply.kind, fromText(reply.body)], [1, Kind.reply, `${i}`]);
  }
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

test("a stream that is stopped before its handler begins is ended once, and nothing of it is sent", async () => {
  const gate = deferred();
  const outcomes: string[] = [];
  const victim = await Victim.start(v2, {
    maxConcurrentHandlers: 1,
    onMessage: async (message: Message) => {
      if (message.head.method === undefined && fromText(message.body) !== "streams") {
        if (fromText(message.body) === "waits") await gate.promise;
        if (message.expectsReply) message.reply(message.body);
        return;
      }
      await message.write(text("an item")).then(
        () => outcomes.push("written"),
        (error: SealwireError) => outcomes.push(error.code),
      );
      message.reply(text("and the answer"));
    },
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  session.peer.write(
    concat(
      session.seal(1, text("waits")),
      session.seal(3, text("waits")),
      session.seal(5, callBody([down(9_000)], text("streams")), Kind.call),
      session.seal(5, EMPTY, Kind.stop),
      session.seal(5, EMPTY, Kind.stop),
      session.seal(5, u32Value(100), Kind.credit),
    ),
  );
  const early = await session.receiveUntilPong();
  assert.deepEqual(
    early.filter(({ sequence }) => sequence === 5).map(({ kind }) => kind),
    [Kind.end],
  );
  gate.resolve();
  const kinds: number[] = [];
  while (kinds.at(-1) !== Kind.reply) {
    const { sequence, kind } = await session.receive();
    if (sequence === 5) kinds.push(kind);
  }
  assert.deepEqual([kinds, outcomes], [[Kind.reply], ["ERR_STREAM_STOPPED"]]);
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

test("a stream without credit at first waits for it, and sends what a byte of it allows", async () => {
  const victim = await Victim.start(v2, {
    onMessage: async (message: Message) => {
      if (message.head.contentType === undefined)
        return void (message.expectsReply && message.reply(message.body));
      await message.write(text("four"));
      message.reply(EMPTY);
    },
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  session.peer.write(session.seal(1, callBody([[4, Uint8Array.of(0)], down(0)]), Kind.call));
  const { kind, sequence } = await session.receive();
  assert.deepEqual([kind, sequence], [Kind.blocked, 1]);
  const parts: string[] = [];
  for (let i = 0; i < 4; i++) {
    session.peer.write(session.seal(1, u32Value(i === 0 ? 1 : 65), Kind.credit));
    let next = await session.receiveRecord();
    while (next.kind !== Kind.chunk) next = await session.receiveRecord();
    parts.push(`${next.body[0]} ${fromText(next.body.subarray(1))}`);
  }
  assert.deepEqual(parts, ["1 f", "1 o", "1 u", "0 r"]);
  let last = await session.receive();
  while (last.kind !== Kind.reply) last = await session.receive();
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

test("what is ignored may stand within an item, and between a stop and its end", async () => {
  const { client, session, leave, ends } = await startScripted();
  const call = client.call(text("items"));
  const items = call[Symbol.asyncIterator]();
  const { sequence } = await session.receive();
  const odd = [record(sequence, 64, text("new")), record(0, 127, EMPTY), record(9, Kind.pong, EMPTY)];
  session.peer.write(
    session.sealBundle(
      record(sequence, Kind.chunk, chunk(text("one "), CHUNK_CONTINUES)),
      ...odd,
      record(sequence, Kind.chunk, chunk(EMPTY, CHUNK_CONTINUES)),
      ...odd,
      record(sequence, Kind.chunk, chunk(text("item"), 0xfe)),
    ),
  );
  assert.equal(fromText((await items.next()).value!), "one item");
  await items.return!();
  session.peer.write(concat(session.seal(sequence, EMPTY, 100), session.seal(sequence, EMPTY, Kind.end)));
  session.peer.write(session.seal(sequence, text("answered"), Kind.reply));
  assert.equal(fromText(await call.answer), "answered");
  const { inbox } = (client.connections[0] as unknown as RpcConnection).link;
  assert.equal(inbox.ignoredRecords, 2 * 2 + 1);
  assert.deepEqual(ends, []);
  await leave();
});

test("a call of which an item has come has begun, whatever its error or a drain says", async () => {
  for (const how of ["error", "drain", "close"] as const) {
    const { client, session, say, leave } = await startScripted();
    const [streamed, untouched] = [client.call(text("streamed")), client.call(text("untouched"))];
    const failed = [streamed, untouched].map(({ answer }) =>
      answer.then(
        () => assert.fail("it was answered"),
        (error: SealwireError) => error.notBegun,
      ),
    );
    const numbers = [(await session.receive()).sequence, (await session.receive()).sequence];
    const [first, second] = numbers as [number, number];
    say(first, Kind.chunk, chunk(text("begun")));
    if (how === "error") {
      for (const number of [first, second])
        say(number, Kind.error, encodeError(Origin.notBegun, "ERR_BUSY", "not begun, it says"));
    } else say(0, how === "drain" ? Kind.drain : Kind.close, encodeReason({ lastBegun: 0 }));
    assert.deepEqual(await Promise.all(failed), [false, true], how);
    await leave();
  }
});

test("drains without end cost next to nothing, however many requests wait", async () => {
  const { client, session, leave, ends } = await startScripted(encodeFields(new Map([[2, u32Value(1_000)]])));
  const connection = await client.connected();
  const all = Array.from({ length: 500 }, () => connection.request(text("waits")).catch(() => {}));
  const numbers: number[] = [];
  while (numbers.length < all.length) numbers.push((await session.receive()).sequence);
  const { requests } = (connection as unknown as RpcConnection).link;
  let looks = 0;
  const rejectWhere = requests.rejectWhere.bind(requests);
  requests.rejectWhere = (...given) => {
    looks++;
    return rejectWhere(...given);
  };
  const last = numbers.at(-1)!;
  // The first ones end a request each; those behind them, nothing.
  const reasons = [last - 2, last - 4, last - 4, last - 6, 0, last];
  const records = Array.from({ length: 3_000 }, (_, i) =>
    record(0, Kind.drain, encodeReason({ lastBegun: reasons[Math.min(i, 5)]! })),
  );
  session.peer.write(session.sealBundle(...records));
  await session.receiveUntilPong();
  assert.equal(looks, 3);
  for (const number of numbers) session.peer.write(session.seal(number, EMPTY, Kind.reply));
  await Promise.all(all);
  await waitFor(() => client.stats.inFlightRequests === 0, "all of them to end");
  assert.deepEqual(ends, []);
  await leave();
});

test("a one-way message has neither a deadline nor streams, whatever its head says", async () => {
  const seen: unknown[] = [];
  const victim = await Victim.start(v2, {
    onMessage: async (message: Message) => {
      if (message.expectsReply) return void message.reply(message.body);
      const items: Uint8Array[] = [];
      for await (const item of message) items.push(item);
      const code = await message.write(EMPTY).catch((error: SealwireError) => error.code);
      seen.push([fromText(message.body), message.remainingMs, items.length, code]);
    },
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  const head: [number, Uint8Array][] = [[1, u32Value(0)], [5, EMPTY], down(9_000)];
  session.peer.write(session.seal(0, callBody(head, text("one way")), Kind.call));
  assert.deepEqual((await session.receiveUntilPong()).filter(isOfStreams), []);
  await waitFor(() => seen.length === 1, "its handler");
  assert.deepEqual(seen, [["one way", undefined, 0, "ERR_UNSUPPORTED"]]);
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

const isOfStreams = ({ kind }: { kind: number }): boolean => kind >= Kind.chunk && kind <= Kind.stop;

test("a cancel is no end: a running handler's request has its own when that has settled, and its number till then", async () => {
  const gate = deferred();
  const victim = await Victim.start(v2, {
    maxRequests: 128,
    onMessage: async (message: Message) => {
      if (fromText(message.body) === "waits") await gate.promise;
      else if (message.expectsReply) message.reply(message.body);
    },
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  session.peer.write(concat(session.seal(1, text("waits")), session.seal(1, EMPTY, Kind.cancel)));
  const early = [...(await session.receiveUntilPong()), ...(await session.receiveUntilPong())];
  assert.deepEqual(
    early.filter(({ sequence }) => sequence === 1),
    [],
  );
  gate.resolve();
  const { sequence, kind } = await session.receive();
  assert.deepEqual([sequence, kind], [1, Kind.error]);
  session.peer.write(session.seal(1, text("again")));
  assert.equal(fromText((await session.receive()).body), "again");
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

test("a text of a close is kept up to 1,024 characters", async () => {
  const { client, session, say, leave } = await startScripted();
  const lost = rejectsWith(client.request(text("anything")), "ERR_CONNECTION_LOST");
  await session.receive();
  const tooLong = text("x".repeat(5_000));
  say(
    0,
    Kind.close,
    encodeFields(
      new Map([
        [1, text("ERR_X")],
        [2, tooLong],
      ]),
    ),
  );
  const { message, remoteCode } = await lost;
  assert.deepEqual([remoteCode, message.replace(/[^x]/g, "").length], ["ERR_X", 1_024]);
  await leave();
});

test("which requests come after the last one begun is told across the wrap-around of their numbers", async () => {
  const { client, session, say, leave } = await startScripted();
  const connection = await client.connected();
  (connection as unknown as RpcConnection).link.requests.startAtForTests(0xfffffffd);
  const all = Array.from({ length: 4 }, () =>
    connection.request(text("one")).then(
      () => "answered",
      (error: SealwireError) => error.notBegun,
    ),
  );
  const numbers: number[] = [];
  while (numbers.length < all.length) numbers.push((await session.receive()).sequence);
  assert.deepEqual(numbers, [0xfffffffd, 0xffffffff, 1, 3]);
  say(0, Kind.drain, encodeReason({ lastBegun: 0xffffffff }));
  say(0xfffffffd, Kind.reply);
  assert.deepEqual(await Promise.all([all[0], all[2], all[3]]), ["answered", true, true]);
  say(0, Kind.close, encodeReason({ lastBegun: 1 }));
  assert.equal(await all[1], false);
  await leave();
});

test("a request that 2^30 others followed is not taken for one that was not begun", async () => {
  const { client, session, say, leave } = await startScripted();
  const connection = await client.connected();
  const { requests } = (connection as unknown as RpcConnection).link;
  // Of the requests between them only their numbers are missing.
  const outcomes: Promise<unknown>[] = [];
  for (const number of [1, 0x40000003, 0x80000005, 0x80000007, 0x80000009]) {
    requests.startAtForTests(number);
    outcomes.push(
      connection.request(text("one")).then(
        () => "answered",
        (error: SealwireError) => error.notBegun,
      ),
    );
    assert.equal((await session.receive()).sequence, number);
  }
  say(0, Kind.drain, encodeReason({ lastBegun: 0x80000007 }));
  assert.equal(await outcomes[4], true, "the one after the last that began");
  assert.equal(requests.size, 4, "no other was rejected");
  say(1, Kind.reply);
  assert.equal(await outcomes[0], "answered");
  say(0, Kind.close, encodeReason({ lastBegun: 0x80000007 }));
  assert.deepEqual(await Promise.all(outcomes.slice(1, 4)), [false, false, false]);
  await leave();
});

test("the same where the connection is lost without a drain", async () => {
  const { client, session, say, leave } = await startScripted();
  const connection = await client.connected();
  const { requests } = (connection as unknown as RpcConnection).link;
  const first = connection.request(text("one")).catch((error: SealwireError) => error.notBegun);
  await session.receive();
  for (const number of [0x40000003, 0x80000005]) {
    requests.startAtForTests(number);
    connection.request(text("one")).catch(() => {});
    await session.receive();
  }
  say(0, Kind.close, encodeReason({ lastBegun: 0x80000005 }));
  assert.equal(await first, false);
  await leave();
});

test("after the wrap-around any number may be that of a request whose end has crossed", async () => {
  const { client, session, say, ends, leave } = await startScripted();
  const connection = await client.connected();
  (connection as unknown as RpcConnection).link.requests.startAtForTests(0xffffffff);
  for (const number of [0xffffffff, 1]) {
    const answer = connection.request(text("one"));
    assert.equal((await session.receive()).sequence, number);
    say(number, Kind.reply);
    await answer;
  }
  for (const number of [3, 0x7fffffff, 0x80000001, 0xfffffffd]) say(number, Kind.credit, u32Value(1));
  const answer = connection.request(text("last"));
  say((await session.receive()).sequence, Kind.reply);
  await answer;
  assert.deepEqual(ends, []);
  await leave();
});

test("after the wrap-around the same at a server", async () => {
  const victim = await Victim.start(v2, {
    onMessage: (message: Message) => void message.reply(message.body),
  });
  const session = await RawSession.v2(await victim.connect(), "client", PSK);
  for (const number of [0xffffffff, 1]) {
    session.peer.write(session.seal(number, text("one")));
    assert.equal((await session.receive()).sequence, number);
  }
  for (const number of [3, 0x7fffffff, 0x80000001, 0xfffffffd]) {
    session.peer.write(session.seal(number, EMPTY, Kind.cancel));
    session.peer.write(session.seal(number, u32Value(1), Kind.credit));
  }
  session.peer.write(session.seal(5, text("last")));
  assert.equal((await session.receive()).sequence, 5);
  session.peer.socket.destroy();
  session.destroy();
  await victim.checkServing();
});

test("a message that arrives when a handler has just ended waits behind those that were there before", async () => {
  const begun: string[] = [];
  const gates = new Map<string, Deferred<void>>();
  const { network, turn, pump, client, leave } = await steppedPair({
    maxConcurrentHandlers: 2,
    onMessage: (message: Message) => {
      const name = fromText(message.body);
      begun.push(name);
      const gate = deferred<void>();
      gates.set(name, gate);
      return gate.promise;
    },
  });
  for (const name of ["a", "b", "c"]) client.sendNoWait(text(name));
  await pump(() => begun.length === 2);
  let rounds = 0;
  await pump(() => ++rounds > 499);
  client.sendNoWait(text("d"));
  // It has left, and is delivered between the end of a handler and the turn in which the next one begins.
  await turn();
  gates.get("a")!.resolve();
  for (let i = 0; i < 5; i++) await Promise.resolve();
  network.deliver(0);
  await pump(() => begun.length === 3);
  gates.get("b")!.resolve();
  await pump(() => begun.length === 4);
  assert.deepEqual(begun, ["a", "b", "c", "d"]);
  for (const gate of gates.values()) gate.resolve();
  await leave();
});
