// Answers that a server may send and answers that it may not, sent by hand to a client. An odd answer affects that call
// alone; an impossible one ends the connection.

import assert from "node:assert/strict";
import type { Call } from "../../../src/index.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { encodeReason } from "../../../src/protocol/reason.ts";
import { CHUNK_CONTINUES, Kind } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import type { RawSession } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  fromText,
  patternBytes,
  rejectsWith,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";
import { startScripted } from "../../support/scriptedServer.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const WINDOW = 262_144;
const MESSAGE_COST = 64;
const CHUNK_COST = 64;
const FIRST_STREAM_CREDIT = 16_384;

function withHead(fields: [tag: number, value: Uint8Array][], body: Uint8Array = EMPTY): Uint8Array {
  const head = encodeFields(new Map(fields));
  return concat(Uint8Array.of(head.length >>> 8, head.length), head, body);
}

const chunk = (bytes: Uint8Array, flags = 0): Uint8Array => concat(Uint8Array.of(flags), bytes);

/** All items of a call, and what ended them. */
async function iterate(call: Call): Promise<string[]> {
  const seen: string[] = [];
  try {
    for await (const item of call) seen.push(fromText(item));
    seen.push("done");
  } catch (error) {
    seen.push((error as { code: string }).code);
  }
  return seen;
}

test("a request may get an answer and a call a reply; fields that mean nothing in an answer are skipped", async () => {
  const { client, session, say, ends, leave } = await startScripted();
  const request = client.request(text("a request"));
  say((await session.receive()).sequence, Kind.answer, withHead([[4, Uint8Array.of(1)]], text("answered")));
  assert.equal(fromText(await request), "answered");
  const call = client.call(text("a call"));
  const items = iterate(call);
  say((await session.receive()).sequence, Kind.reply, text("replied"));
  assert.equal(fromText(await call.answer), "replied");
  assert.deepEqual(await items, ["done"]);
  const odd = client.call(text("odd fields"));
  odd.answer.catch(() => {});
  const skipped: [number, Uint8Array][] = [
    [1, u32Value(0)],
    [5, EMPTY],
    [6, u32Value(9)],
    [63, text("unknown")],
    [128, text("the application's")],
  ];
  say((await session.receive()).sequence, Kind.answer, withHead(skipped, text("all the same")));
  assert.equal(fromText(await odd.answer), "all the same");
  assert.deepEqual(
    [...odd.answerHead!.fields!].map(([tag, value]) => [tag, fromText(value)]),
    [[128, "the application's"]],
  );
  assert.deepEqual(ends, []);
  await leave();
});

test("an answer with a malformed head, or a critical field, fails its call alone", async () => {
  const { client, session, say, ends, leave } = await startScripted();
  const answers: [what: string, body: Uint8Array, code: string, message: RegExp][] = [
    ["an unknown critical field", withHead([[99, EMPTY]]), "ERR_UNSUPPORTED", /\b99\b/],
    ["a content type of 2 bytes", withHead([[4, new Uint8Array(2)]]), "ERR_PROTOCOL", /content type/],
    ["tags that descend", Uint8Array.of(0, 6, 9, 0, 0, 8, 0, 0), "ERR_PROTOCOL", /fields/],
    ["a method that is not UTF-8", withHead([[2, Uint8Array.of(0xff)]]), "ERR_PROTOCOL", /UTF-8/],
  ];
  for (const [what, body, code, message] of answers) {
    for (const call of [() => client.request(text(what)), () => client.call(text(what)).answer]) {
      const failed = rejectsWith(call(), code as "ERR_PROTOCOL");
      say((await session.receive()).sequence, Kind.answer, body);
      const error = await failed;
      assert.match(error.message, message, what);
      assert.equal(error.notBegun, false, what);
    }
  }
  const good = client.request(text("good"));
  say((await session.receive()).sequence, Kind.reply, text("still served"));
  assert.equal(fromText(await good), "still served");
  assert.deepEqual(ends, []);
  await leave();
});

test("an error is never malformed: what is missing is empty, what is too long is cut, origins above 2 count as 2", async () => {
  const { client, session, say, ends, leave } = await startScripted();
  const long = "x".repeat(65);
  const errors: [what: string, body: Uint8Array, remoteCode: string, notBegun: boolean][] = [
    ["nothing", EMPTY, "", false],
    ["the origin alone", Uint8Array.of(Origin.notBegun), "", true],
    ["a code that is cut", Uint8Array.of(Origin.handler, 9, 65), "A", false],
    ["a code without a text", Uint8Array.of(Origin.library, 1, 65), "A", false],
    ["half of the text's length", Uint8Array.of(Origin.library, 1, 65, 0), "A", false],
    ["a text that is cut", Uint8Array.of(Origin.library, 1, 65, 1, 0, 66), "A", false],
    ["an origin of 3", Uint8Array.of(3, 1, 65, 0, 0), "A", false],
    ["an origin of 255", Uint8Array.of(255, 1, 65, 0, 0), "A", false],
    ["a code of 65 bytes", concat(Uint8Array.of(0, 65), text(long)), long.slice(1), false],
    ["a code with a space", concat(Uint8Array.of(0, 3), text("A B")), "A_B", false],
  ];
  for (const [what, body, remoteCode, notBegun] of errors) {
    const failed = rejectsWith(client.request(text(what)), "ERR_REMOTE");
    say((await session.receive()).sequence, Kind.error, body);
    const error = await failed;
    assert.deepEqual([error.remoteCode, error.notBegun], [remoteCode, notBegun], what);
  }
  assert.deepEqual(ends, []);
  await leave();
});

test("a reply or answer within an item fails its call, and the item is lost", async () => {
  const { client, session, say, ends, leave } = await startScripted();
  for (const [kind, body] of [
    [Kind.reply, text("too early")],
    [Kind.answer, withHead([], text("too early"))],
  ] as const) {
    const call = client.call(text("call"));
    const items = iterate(call);
    const failed = rejectsWith(call.answer, "ERR_PROTOCOL");
    const { sequence } = await session.receive();
    say(sequence, Kind.chunk, chunk(text("whole")));
    say(sequence, Kind.chunk, chunk(text("cut"), CHUNK_CONTINUES));
    say(sequence, kind, body);
    assert.equal((await failed).notBegun, false);
    assert.deepEqual(await items, ["whole", "ERR_PROTOCOL"]);
    await rejectsWith(call.write(text("late")), "ERR_PROTOCOL");
  }
  // An error ends an item, too, and says why itself.
  const refused = client.call(text("call"));
  const items = iterate(refused);
  const { sequence } = await session.receive();
  say(sequence, Kind.chunk, chunk(text("cut"), CHUNK_CONTINUES));
  say(sequence, Kind.error, concat(Uint8Array.of(Origin.handler, 2), text("NO")));
  assert.equal((await rejectsWith(refused.answer, "ERR_REMOTE")).remoteCode, "NO");
  assert.deepEqual(await items, ["ERR_REMOTE"]);
  assert.deepEqual(ends, []);
  await leave();
});

test("answers that cannot be end the connection", async () => {
  const attempts: [what: string, say: (s: RawSession, call: number, other: number) => Uint8Array[]][] = [
    ["a second reply", (s, call) => [s.seal(call, EMPTY, Kind.reply), s.seal(call, EMPTY, Kind.reply)]],
    [
      "an error behind a reply",
      (s, call) => [s.seal(call, EMPTY, Kind.reply), s.seal(call, EMPTY, Kind.error)],
    ],
    ["a reply with a number of this side's", (s) => [s.seal(2, EMPTY, Kind.reply)]],
    ["a reply of nothing", (s) => [s.seal(0, EMPTY, Kind.reply)]],
    ["an answer to a request never made", (s) => [s.seal(99, withHead([]), Kind.answer)]],
    ["a request with the client's parity", (s) => [s.seal(1, EMPTY, Kind.message)]],
    ["a cancel of the client's request", (s, call) => [s.seal(call, EMPTY, Kind.cancel)]],
    ["a chunk of a plain request", (s, _call, other) => [s.seal(other, chunk(EMPTY), Kind.chunk)]],
    ["a chunk of a request never made", (s) => [s.seal(99, chunk(EMPTY), Kind.chunk)]],
    [
      "chunks beyond what the head gave",
      (s, call) => [
        s.seal(call, chunk(patternBytes(FIRST_STREAM_CREDIT - CHUNK_COST - 1)), Kind.chunk),
        s.seal(call, chunk(EMPTY), Kind.chunk),
        s.seal(call, chunk(EMPTY), Kind.chunk),
      ],
    ],
    [
      "an end within an item",
      (s, call) => [s.seal(call, chunk(EMPTY, CHUNK_CONTINUES), Kind.chunk), s.seal(call, EMPTY, Kind.end)],
    ],
    [
      "a chunk behind the end",
      (s, call) => [s.seal(call, EMPTY, Kind.end), s.seal(call, chunk(EMPTY), Kind.chunk)],
    ],
    ["settings again", (s) => [s.seal(0, EMPTY, Kind.settings)]],
    ["a kind that is not assigned", (s) => [s.seal(0, EMPTY, 17)]],
    ["a record behind a close", (s) => [s.seal(0, EMPTY, Kind.close), s.seal(0, EMPTY, Kind.pong)]],
  ];
  for (const [what, frames] of attempts) {
    const { client, session, ends, leave } = await startScripted();
    const call = client.call(text("call"));
    // Its items are wanted, and nobody takes one.
    call[Symbol.asyncIterator]();
    const outcomes = Promise.allSettled([call.answer, client.request(text("request"))]);
    const [first, second] = [await session.receive(), await session.receive()];
    session.peer.write(concat(...frames(session, first.sequence, second.sequence)));
    await waitFor(() => ends.length === 1, what);
    assert.deepEqual(ends, ["ERR_PROTOCOL"], what);
    await outcomes;
    await leave();
  }
});

test("an end that was heard is one also where nobody takes the items: what follows it ends the connection", async () => {
  for (const again of [Kind.end, Kind.chunk]) {
    const { client, session, say, ends, leave } = await startScripted();
    const call = client.call(text("call"));
    const leaving = (async () => {
      for await (const _item of call) break;
    })();
    const failed = rejectsWith(call.answer, "ERR_CONNECTION_LOST");
    const { sequence } = await session.receive();
    say(sequence, Kind.chunk, chunk(text("the only one that is taken")));
    while ((await session.receive()).kind !== Kind.stop);
    await leaving;
    // These are dropped: they were on their way.
    for (let i = 0; i < 3; i++) say(sequence, Kind.chunk, chunk(text("dropped"), CHUNK_CONTINUES));
    say(sequence, Kind.end);
    say(0, Kind.ping);
    while ((await session.receive()).kind !== Kind.pong);
    assert.deepEqual(ends, []);
    say(sequence, again, again === Kind.chunk ? chunk(EMPTY) : EMPTY);
    await session.peer.ended();
    await waitFor(() => ends.length === 1, "the end");
    assert.deepEqual(ends, ["ERR_PROTOCOL"]);
    await failed;
    await leave();
  }
});

test("a first frame of a server that is not its settings alone opens nothing", async () => {
  const attempts: [what: string, frame: (session: RawSession) => Uint8Array][] = [
    ["a message", (s) => s.seal(0, text("early"), Kind.message)],
    ["a ping", (s) => s.seal(0, EMPTY, Kind.ping)],
    ["settings with a number", (s) => s.seal(1, EMPTY, Kind.settings)],
    ["settings in a bundle", (s) => s.sealBundle(Uint8Array.of(0, 0, 0, 5, 0, 0, 0, 0, Kind.settings))],
    ["1,025 bytes", (s) => s.seal(0, encodeFields(new Map([[63, new Uint8Array(1_022)]])), Kind.settings)],
    ["a critical field", (s) => s.seal(0, encodeFields(new Map([[64, EMPTY]])), Kind.settings)],
    ["a value of 3 bytes", (s) => s.seal(0, encodeFields(new Map([[2, new Uint8Array(3)]])), Kind.settings)],
    ["a field that is cut", (s) => s.seal(0, Uint8Array.of(1, 0, 4, 0), Kind.settings)],
  ];
  for (const [what, frame] of attempts) {
    const handled: Uint8Array[] = [];
    const { session, states, leave } = await startScripted(
      EMPTY,
      { onMessage: ({ body }) => void handled.push(body) },
      frame,
    );
    await session.peer.ended();
    await waitFor(() => states.includes("closed"), what);
    assert.deepEqual([states.includes("open"), handled], [false, []], what);
    await leave();
  }
});

test("credit that a server's settings raise is the client's at once, and no byte more", async () => {
  const raised = 100_000;
  const { client, session, states, leave } = await startScripted(
    encodeFields(new Map([[4, u32Value(WINDOW + raised)]])),
  );
  await waitFor(() => states.includes("open"), "the settings to arrive");
  const body = patternBytes(10_000);
  const cost = MESSAGE_COST + body.length;
  const expected = Math.ceil((WINDOW + raised) / cost);
  const sends = Array.from({ length: expected + 3 }, () => client.send(body).catch(() => {}));
  for (let i = 0; i < expected; i++) assert.equal((await session.receive()).kind, Kind.message);
  assert.equal((await session.receive()).kind, Kind.blocked);
  await leave();
  await Promise.all(sends);
});

test("behind a cancel the caller says nothing more of the request, and drops all that comes until its end", async () => {
  const { client, session, say, saidUntilPong, ends, leave } = await startScripted();
  const controller = new AbortController();
  const call = client.call(text("call"), { signal: controller.signal });
  const items = iterate(call);
  const { sequence } = await session.receive();
  // More than there is credit for, so that items wait.
  const writes = Array.from({ length: 4 }, () => call.write(patternBytes(10_000)).catch(() => {}));
  await saidUntilPong();
  controller.abort();
  await rejectsWith(call.answer, "ERR_ABORTED");
  const said = await saidUntilPong();
  assert.equal(said.filter(({ kind }) => kind === Kind.cancel).length, 1);
  assert.deepEqual(said.slice(said.findIndex(({ kind }) => kind === Kind.cancel) + 1), []);
  for (let i = 0; i < 3; i++) say(sequence, Kind.chunk, chunk(patternBytes(1_000)));
  say(sequence, Kind.credit, u32Value(100_000));
  say(sequence, Kind.blocked);
  say(sequence, Kind.stop);
  assert.deepEqual(await saidUntilPong(), []);
  assert.equal(client.stats.inFlightRequests, 0);
  say(sequence, Kind.error, Uint8Array.of(Origin.library, 0, 0, 0));
  assert.deepEqual(await saidUntilPong(), []);
  assert.deepEqual(await items, ["ERR_ABORTED"]);
  await Promise.all(writes);
  assert.deepEqual(ends, []);
  await leave();
});

test("a second drain adds its fields to the first one's", async () => {
  const { client, session, say, leave } = await startScripted();
  const [first, second] = [client.request(text("first")), client.request(text("second"))];
  second.catch(() => {});
  const numbers = [await session.receive(), await session.receive()].map(({ sequence }) => sequence);
  say(0, Kind.drain);
  assert.equal((await session.receive()).kind, Kind.drain);
  say(0, Kind.drain, encodeReason({ lastBegun: numbers[0]! }));
  assert.equal((await rejectsWith(second, "ERR_CONNECTION_LOST")).notBegun, true);
  // No second drain of this side, and both requests still have their ends.
  say(numbers[1]!, Kind.error, Uint8Array.of(Origin.notBegun, 0, 0, 0));
  say(numbers[0]!, Kind.reply, text("answered"));
  assert.equal(fromText(await first), "answered");
  assert.equal((await session.receive()).kind, Kind.close);
  say(0, Kind.close);
  session.peer.socket.end();
  await leave();
});
