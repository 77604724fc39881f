// Impossible records of calls and streams (docs/PROTOCOL.md, the table under Requests) end their connection and no
// other. Records that only crossed on the way end nothing.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { decodeError } from "../../../src/protocol/errorBody.ts";
import { encodeFields, type Fields, u32Value } from "../../../src/protocol/fields.ts";
import { decodeReason } from "../../../src/protocol/reason.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat } from "../../support/rawPeer.ts";
import { RawSession, record } from "../../support/rawSession.ts";
import { checkLeaksAfterEachTest, fromText, text } from "../../support/rpcHarness.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const Tag = { deadline: 1, method: 2, traceParent: 3, contentType: 4, streams: 5, streamCredit: 6 };
const { psk: PSK } = v2.options as { psk: string };
/** The method whose handler waits. */
const GATE = "gate";

function callBody(head: [tag: number, value: Uint8Array][], body: Uint8Array = EMPTY): Uint8Array {
  const fields: Fields = new Map(head);
  const bytes = encodeFields(fields);
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length), bytes, body);
}

const UP: [tag: number, value: Uint8Array] = [Tag.streams, EMPTY];
const down = (credit: number): [tag: number, value: Uint8Array] => [Tag.streamCredit, u32Value(credit)];

/** A server whose handler of "gate" waits until its caller does not any more. */
function startVictim(): Promise<Victim> {
  return Victim.start(v2, {
    onMessage: async (message: Message) => {
      if (message.head.method === GATE) {
        await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
      } else if (message.expectsReply) message.reply(message.body);
    },
  });
}

test("nothing follows a close, also where items of a stream have credit again", async () => {
  const writes: Promise<unknown>[] = [];
  const victim = await Victim.start(v2, {
    onMessage: (message: Message) => {
      if (message.head.method === undefined) return message.reply(message.body);
      message.write(new Uint8Array(2_000));
      writes.push(message.write(new Uint8Array(2_000)).catch((error: { code: string }) => error.code));
    },
  });
  const credit = (s: RawSession) => s.seal(1, u32Value(10_000), Kind.credit);
  // Credit for the rest of the item comes in the read that ends the connection, and behind the orderly close.
  const ends: ((s: RawSession) => Uint8Array[])[] = [
    (s) => [credit(s), s.seal(0, EMPTY, 127), s.seal(0, EMPTY, Kind.stop)],
    (s) => [s.seal(0, EMPTY, Kind.drain), credit(s), credit(s)],
  ];
  for (const end of ends) {
    const session = await RawSession.v2(await victim.connect(), "client", PSK);
    session.peer.write(session.seal(1, gate(down(1)), Kind.call));
    while ((await session.receiveRecord()).kind !== Kind.chunk);
    session.peer.write(concat(...end(session)));
    const kinds: number[] = [];
    while (kinds.at(-1) !== Kind.close) kinds.push((await session.receiveRecord()).kind);
    assert.ok(!kinds.includes(Kind.chunk), `records of kinds ${kinds}`);
    session.peer.write(session.seal(0, EMPTY, Kind.close));
    session.peer.socket.end();
    await assert.rejects(session.receiveRecord(), "a record came behind the close");
    session.destroy();
  }
  assert.deepEqual(await Promise.all(writes), ["ERR_CONNECTION_LOST", "ERR_CLOSED"]);
  await victim.checkServing();
});

const gate = (...more: [tag: number, value: Uint8Array][]): Uint8Array =>
  callBody([[Tag.method, text(GATE)], ...more]);

test("records of calls and streams that cannot be end their connection, and no other", async () => {
  const victim = await startVictim();
  const attempts: { what: string; say: (session: RawSession) => Uint8Array[] }[] = [
    {
      what: "a chunk of a direction that no head opened",
      say: (s) => [
        s.seal(1, gate(), Kind.call),
        s.seal(3, gate(down(100)), Kind.call),
        s.seal(3, text("\0x"), Kind.chunk),
      ],
    },
    {
      what: "a chunk of a call without streams",
      say: (s) => [s.seal(1, gate(), Kind.call), s.seal(1, text("\0x"), Kind.chunk)],
    },
    {
      what: "an end of a call without streams",
      say: (s) => [s.seal(1, gate(), Kind.call), s.seal(1, EMPTY, Kind.end)],
    },
    {
      what: "a reply with the sender's own number",
      say: (s) => [s.seal(1, gate(), Kind.call), s.seal(1, EMPTY, Kind.reply)],
    },
    { what: "a chunk of a request that was never made", say: (s) => [s.seal(1, text("\0x"), Kind.chunk)] },
    { what: "a chunk of no request", say: (s) => [s.seal(0, text("\0x"), Kind.chunk)] },
    {
      what: "a chunk without flags",
      say: (s) => [s.seal(1, gate(UP), Kind.call), s.seal(1, EMPTY, Kind.chunk)],
    },
    {
      what: "a chunk that is too long",
      say: (s) => [s.seal(1, gate(UP), Kind.call), s.seal(1, new Uint8Array(65_516), Kind.chunk)],
    },
    {
      what: "a chunk without credit",
      say: (s) => [
        s.seal(1, gate(UP), Kind.call),
        s.seal(1, new Uint8Array(65_515), Kind.chunk),
        s.seal(1, text("\0"), Kind.chunk),
      ],
    },
    {
      what: "a chunk behind its end",
      say: (s) => [
        s.seal(1, gate(UP), Kind.call),
        s.seal(1, EMPTY, Kind.end),
        s.seal(1, text("\0x"), Kind.chunk),
      ],
    },
    {
      what: "a second end",
      say: (s) => [s.seal(1, gate(UP), Kind.call), s.seal(1, EMPTY, Kind.end), s.seal(1, EMPTY, Kind.end)],
    },
    { what: "a stop of no request", say: (s) => [s.seal(0, EMPTY, Kind.stop)] },
    { what: "credit of 0", say: (s) => [s.seal(0, u32Value(0), Kind.credit)] },
    { what: "credit of 3 bytes", say: (s) => [s.seal(0, new Uint8Array(3), Kind.credit)] },
    { what: "credit above the sum", say: (s) => [s.seal(0, u32Value(0x7fffffff), Kind.credit)] },
    {
      what: "credit above the sum of a stream",
      say: (s) => [s.seal(1, gate(down(1)), Kind.call), s.seal(1, u32Value(0x7fffffff), Kind.credit)],
    },
    { what: "a head longer than its record", say: (s) => [s.seal(1, Uint8Array.of(0, 9, 1), Kind.call)] },
    { what: "settings again", say: (s) => [s.seal(0, EMPTY, Kind.settings)] },
    {
      what: "more requests than places",
      say: (s) => [
        s.sealBundle(...Array.from({ length: 1_025 }, (_, i) => record(1 + 2 * i, Kind.call, gate()))),
      ],
    },
  ];
  for (const { what, say } of attempts) {
    const session = await v2.rawSession(await victim.connect(), "client");
    for (const frame of say(session)) session.peer.write(frame);
    await victim.expectClosed(session.peer, "ERR_PROTOCOL", what);
    session.destroy();
  }
});

test("what is malformed in a head fails that call alone, as not begun", async () => {
  const victim = await startVictim();
  const session = await v2.rawSession(await victim.connect(), "client");
  const heads: [what: string, body: Uint8Array, code: string][] = [
    ["credit above the sum", callBody([down(0x80000000)]), "ERR_PROTOCOL"],
    ["a deadline of 3 bytes", callBody([[Tag.deadline, new Uint8Array(3)]]), "ERR_PROTOCOL"],
    ["credit of 3 bytes", callBody([[Tag.streamCredit, new Uint8Array(3)]]), "ERR_PROTOCOL"],
    ["a method of 1,025 bytes", callBody([[Tag.method, new Uint8Array(1_025)]]), "ERR_PROTOCOL"],
    ["a method that is not UTF-8", callBody([[Tag.method, Uint8Array.of(0xff)]]), "ERR_PROTOCOL"],
    ["a trace context of 257 bytes", callBody([[Tag.traceParent, new Uint8Array(257)]]), "ERR_PROTOCOL"],
    ["a trace context that is not UTF-8", callBody([[Tag.traceParent, Uint8Array.of(0xc0)]]), "ERR_PROTOCOL"],
    ["a content type without a byte", callBody([[Tag.contentType, EMPTY]]), "ERR_PROTOCOL"],
    ["a content type of 2 bytes", callBody([[Tag.contentType, new Uint8Array(2)]]), "ERR_PROTOCOL"],
    ["a stream that says something", callBody([[Tag.streams, Uint8Array.of(1)]]), "ERR_PROTOCOL"],
    ["a field that is cut", Uint8Array.of(0, 2, 9, 0), "ERR_PROTOCOL"],
    ["a field beyond the head", Uint8Array.of(0, 3, 9, 0, 1, 0), "ERR_PROTOCOL"],
    ["a tag twice", Uint8Array.of(0, 6, 9, 0, 0, 9, 0, 0), "ERR_PROTOCOL"],
    ["tags that descend", Uint8Array.of(0, 6, 2, 0, 0, 1, 0, 0), "ERR_PROTOCOL"],
    ["an unknown critical field", callBody([[127, EMPTY]]), "ERR_UNSUPPORTED"],
    ["too late", callBody([[Tag.deadline, u32Value(0)]]), "ERR_REQUEST_TIMEOUT"],
  ];
  for (const [i, [what, body, code]] of heads.entries()) {
    session.peer.write(session.seal(1 + 2 * i, body, Kind.call));
    const answer = await session.receive();
    assert.deepEqual([answer.kind, answer.sequence], [Kind.error, 1 + 2 * i], what);
    const error = decodeError(answer.body);
    assert.deepEqual([error.remoteCode, error.notBegun], [code, true], what);
  }
  // Unknown fields that are not critical, and the application's.
  session.peer.write(
    session.seal(
      1 + 2 * heads.length,
      callBody(
        [
          [63, EMPTY],
          [255, EMPTY],
        ],
        text("served"),
      ),
      Kind.call,
    ),
  );
  assert.equal(fromText((await session.receive()).body), "served");
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("what is malformed in a reason ends the connection, also in a cancel; what is only long or odd does not", async () => {
  const victim = await startVictim();
  const reasons: [what: string, body: Uint8Array][] = [
    ["a field that is cut", Uint8Array.of(1, 0)],
    ["a field beyond the body", Uint8Array.of(1, 0, 1)],
    ["tags that descend", Uint8Array.of(2, 0, 0, 1, 0, 0)],
    ["a number of 3 bytes", encodeFields(new Map([[3, new Uint8Array(3)]]))],
    ["a time of 5 bytes", encodeFields(new Map([[4, new Uint8Array(5)]]))],
    ["an unknown critical field", encodeFields(new Map([[64, EMPTY]]))],
  ];
  for (const [kind, name] of [
    [Kind.cancel, "cancel"],
    [Kind.drain, "drain"],
    [Kind.close, "close"],
  ] as const) {
    for (const [what, body] of reasons) {
      const session = await v2.rawSession(await victim.connect(), "client");
      session.peer.write(session.seal(1, gate(), Kind.call));
      session.peer.write(session.seal(kind === Kind.cancel ? 1 : 0, body, kind));
      await victim.expectClosed(session.peer, "ERR_PROTOCOL", `${what}, in a ${name}`);
      session.destroy();
    }
  }
  const odd: Fields = new Map([
    [1, text("A B\n".repeat(30))],
    [2, Uint8Array.of(0xff)],
    [63, EMPTY],
    [128, EMPTY],
  ]);
  const session = await v2.rawSession(await victim.connect(), "client");
  session.peer.write(session.seal(1, gate(), Kind.call));
  session.peer.write(session.seal(1, encodeFields(odd), Kind.cancel));
  const end = await session.receive();
  assert.deepEqual([end.kind, end.sequence], [Kind.error, 1]);
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("codes of a peer are short and visible ASCII, whatever it sends: they end up in logs", () => {
  const wild = text(`ok\r\n\u001b[31m\u00e9 ${"x".repeat(200)}`);
  const tame = `ok___[31m__${"x".repeat(200)}`.slice(0, 64);
  const error = decodeError(concat(Uint8Array.of(0, wild.length), wild));
  assert.deepEqual([error.code, error.remoteCode], ["ERR_REMOTE", tame]);
  const reason = encodeFields(new Map([[1, wild]]));
  assert.equal(decodeReason(reason, 0, reason.length).code, tame);
});

test("what has crossed an end, a cancel or a deadline is dropped", async () => {
  const victim = await startVictim();
  const session = await v2.rawSession(await victim.connect(), "client");
  const say = (sequence: number, kind: number, body: Uint8Array = EMPTY): void => {
    session.peer.write(session.seal(sequence, body, kind));
  };
  const ofStream = (sequence: number): void => {
    say(sequence, Kind.chunk, text("\0x"));
    say(sequence, Kind.end);
    say(sequence, Kind.stop);
    say(sequence, Kind.credit, u32Value(5));
    say(sequence, Kind.blocked);
    say(sequence, Kind.cancel);
  };
  // Answered at once.
  say(1, Kind.call, callBody([UP, down(100)], text("done")));
  assert.equal((await session.receive()).kind, Kind.reply);
  ofStream(1);
  // The deadline passes at the handler: it says so, and the caller's chunks are still under way.
  say(3, Kind.call, callBody([[Tag.deadline, u32Value(1)], [Tag.method, text(GATE)], UP]));
  const late = await session.receive();
  assert.deepEqual([late.kind, late.sequence], [Kind.error, 3]);
  ofStream(3);
  // A one-way message with a head: what it says of streams and time means nothing.
  say(0, Kind.call, callBody([[Tag.deadline, u32Value(0)], UP, down(100)], text("one way")));
  say(5, Kind.message, text("still served"));
  assert.equal(fromText((await session.receive()).body), "still served");
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("chunks under way when a deadline passes don't end the connection", async () => {
  let begun = (): void => {};
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let release = (): void => {};
  const victim = await Victim.start(v2, {
    onMessage: async (message: Message) => {
      if (message.head.method !== GATE) return message.reply(message.body);
      message.signal.addEventListener("abort", () => begun());
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return false;
    },
  });
  const session = await v2.rawSession(await victim.connect(), "client");
  const head: [number, Uint8Array][] = [[Tag.deadline, u32Value(1)], [Tag.method, text(GATE)], UP];
  session.peer.write(session.seal(1, callBody(head), Kind.call));
  await hasBegun;
  // The handler has not settled, so the request is without its end; its caller knows nothing yet.
  session.peer.write(session.seal(1, text("\0x"), Kind.chunk));
  session.peer.write(session.seal(3, text("still served"), Kind.message));
  assert.equal(fromText((await session.receive()).body), "still served");
  release();
  const end = await session.receive();
  assert.deepEqual([end.kind, end.sequence, decodeError(end.body).notBegun], [Kind.error, 1, false]);
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("an answer that waits behind items of its stream gives way to an end without one when its caller cancels", async () => {
  const victim = await Victim.start(v2, {
    onMessage: (message: Message) => {
      if (message.head.method === GATE) message.write(new Uint8Array(500)).catch(() => {});
      if (message.expectsReply) message.reply(message.body);
    },
  });
  const session = await v2.rawSession(await victim.connect(), "client");
  // Without credit nothing of the stream can leave.
  session.peer.write(session.seal(1, callBody([[Tag.method, text(GATE)], down(0)], text("last")), Kind.call));
  assert.equal((await session.receive()).kind, Kind.blocked);
  session.peer.write(session.seal(1, EMPTY, Kind.cancel));
  const end = await session.receive();
  assert.deepEqual([end.kind, end.sequence], [Kind.error, 1]);
  assert.equal(decodeError(end.body).remoteCode, "ERR_ABORTED");
  // With a stop: the stream's end, then the request's.
  session.peer.write(session.seal(3, callBody([[Tag.method, text(GATE)], down(0)], text("last")), Kind.call));
  assert.equal((await session.receive()).kind, Kind.blocked);
  session.peer.write(session.seal(3, EMPTY, Kind.stop));
  assert.deepEqual([(await session.receive()).kind, (await session.receive()).kind], [Kind.end, Kind.reply]);
  session.destroy();
  await session.peer.destroy();
  await victim.closed(session.peer);
});

test("the first frame is settings, alone", async () => {
  const victim = await startVictim();
  const say = async (what: string, frame: (session: RawSession) => Uint8Array): Promise<void> => {
    const session = await RawSession.v2(await victim.connect(), "client", PSK, false);
    session.peer.write(frame(session));
    // It was no connection yet: the server's own side is told nothing of it, or that its handshake failed.
    await session.peer.ended();
    assert.deepEqual(victim.takeHandled(), [], what);
    session.destroy();
    await session.peer.destroy();
    await victim.checkServing();
  };
  await say("a message", (s) => s.seal(0, text("early"), Kind.message));
  await say("a bundle of settings", (s) => s.sealBundle(record(0, Kind.settings, EMPTY)));
  await say("settings of a request", (s) => s.seal(1, EMPTY, Kind.settings));
  await say("too long", (s) => s.seal(0, new Uint8Array(1_025), Kind.settings));
  await say("an unknown critical field", (s) => s.seal(0, Uint8Array.of(64, 0, 0), Kind.settings));
});
