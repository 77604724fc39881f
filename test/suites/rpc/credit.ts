// Credit, and records that are free of it. A peer that exceeds its credit loses its connection, one that floods with
// free records gains nothing, and neither side waits for records that the other has no reason to send.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { MOST_COLLECTED_BYTES } from "../../../src/protocol/credit.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { CHUNK_CONTINUES, Kind } from "../../../src/protocol/wire.ts";
import { ATTACKED_WINDOW, attackedServer } from "../../support/attackedServer.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawListener } from "../../support/rawPeer.ts";
import { type RawFrame, RawSession, record } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  type Deferred,
  deferred,
  echo,
  fromText,
  patternBytes,
  rejectsWith,
  startClient,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const MESSAGE_COST = 64;
const CHUNK_COST = 64;
const STREAM_WINDOW = 16_384;
const creditOf = (frame: RawFrame): number =>
  new DataView(frame.body.buffer, frame.body.byteOffset).getUint32(0);
const streamHead = (extra = {}): Uint8Array =>
  encodeWithHead({ streams: true, streamCredit: STREAM_WINDOW, ...extra }, EMPTY);

/** A client with one raw server. */
async function attackedClient(options = {}, settings: Uint8Array = EMPTY) {
  const listener = await RawListener.listen();
  const reasons: (string | undefined)[] = [];
  const client = startClient({
    ...v2.options,
    port: listener.port,
    maxConnections: 1,
    keepConnected: false,
    onConnectionState: (_connection, state, error) => state === "closed" && reasons.push(error?.code),
    ...options,
  });
  const first = client.request(text("first"));
  const session = await RawSession.v2(await listener.accept(), "server", v2.options.psk as string, false);
  session.peer.write(session.seal(0, settings, Kind.settings));
  const { sequence } = await session.receive();
  session.peer.write(session.seal(sequence, EMPTY, Kind.reply));
  await first;
  return {
    client,
    session,
    reasons,
    say: (to: number, kind: number, body: Uint8Array = EMPTY) =>
      session.peer.write(session.seal(to, body, kind)),
    async leave(): Promise<void> {
      session.destroy();
      await session.peer.destroy();
      await client.close();
      await listener.close();
    },
  };
}

test("messages and requests beyond the credit end the connection; up to it none does", async () => {
  for (const sequence of [0, 1]) {
    const hold = deferred();
    const attack = await attackedServer({ maxConcurrentHandlers: 2, onMessage: () => hold.promise });
    const { session, say } = attack;
    // Two begin at once, and give their credit back as all that begins.
    const cost = MESSAGE_COST + 4_000;
    let left = ATTACKED_WINDOW;
    let sent = 0;
    for (; sent < 2; sent++) say(sequence * (2 * sent + 1), Kind.message, patternBytes(4_000));
    const credits = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
    assert.deepEqual(credits, []);
    left -= 2 * cost;
    for (; left > 0; left -= cost, sent++) say(sequence * (2 * sent + 1), Kind.message, patternBytes(4_000));
    const [credit] = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
    // The peer has none, so that what was dealt with comes back at once.
    assert.equal(creditOf(credit!), 2 * cost);
    left += 2 * cost;
    for (; left > 0; left -= cost, sent++) say(sequence * (2 * sent + 1), Kind.message, patternBytes(4_000));
    await attack.saidUntilPong();
    assert.deepEqual(attack.ends, []);
    session.peer.write(session.seal(sequence * (2 * sent + 1), EMPTY, Kind.message));
    await attack.expectEnd();
    hold.resolve();
  }
});

test("credit comes back when handlers begin, in portions, and all of it", async () => {
  let handled = 0;
  const attack = await attackedServer({ onMessage: () => void handled++ });
  let given = 0;
  const cost = MESSAGE_COST + 1_000;
  for (let i = 0; i < 1_000; i++) {
    attack.say(0, Kind.message, patternBytes(1_000));
    if (i % 100 === 99) {
      const credits = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
      assert.ok(credits.length <= 2, `${credits.length} records for 100 messages`);
      given += credits.reduce((sum, credit) => sum + creditOf(credit), 0);
    }
  }
  assert.equal(handled, 1_000);
  assert.ok(given <= 1_000 * cost && given > 1_000 * cost - ATTACKED_WINDOW / 2 - cost, String(given));
  await attack.leave();
});

test("credit of a wide window comes back after 1 MiB, not after half of it", async () => {
  const attack = await attackedServer({ messageCreditBytes: 16_777_216, onMessage: () => {} });
  const body = new Uint8Array(250_000);
  const cost = MESSAGE_COST + body.length;
  for (let i = 0; i < 4; i++) attack.say(0, Kind.message, body);
  const none = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
  assert.equal(none.length, 0);
  attack.say(0, Kind.message, body);
  const credits = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
  assert.deepEqual(credits.map(creditOf), [5 * cost]);
  await attack.leave();
});

test("a refused request, and one that is cancelled before it begins, give their credit back once", async () => {
  const refusing = await attackedServer({ onMessage: undefined as never });
  const body = patternBytes(60_000);
  const cost = MESSAGE_COST + body.length;
  let given = 0;
  for (let i = 0; i < 20; i++) {
    refusing.say(2 * i + 1, Kind.message, body);
    for (const found of await refusing.saidUntilPong()) {
      if (found.kind === Kind.credit) given += creditOf(found);
      else
        assert.deepEqual(
          [found.kind, found.sequence, found.body[0]],
          [Kind.error, 2 * i + 1, Origin.notBegun],
        );
    }
  }
  for (const found of await refusing.saidUntilPong())
    if (found.kind === Kind.credit) given += creditOf(found);
  assert.ok(given <= 20 * cost && given >= 20 * cost - ATTACKED_WINDOW / 2 - cost, String(given));
  await refusing.leave();

  const hold = deferred();
  const attack = await attackedServer({ maxConcurrentHandlers: 2, onMessage: () => hold.promise });
  for (const number of [1, 3]) attack.say(number, Kind.message, EMPTY);
  given = 0;
  for (let i = 0; i < 20; i++) {
    const number = 5 + 2 * i;
    attack.say(number, Kind.message, body);
    attack.say(number, Kind.cancel);
    for (const found of [...(await attack.saidUntilPong()), ...(await attack.saidUntilPong())]) {
      if (found.kind === Kind.credit) given += creditOf(found);
      else
        assert.deepEqual([found.kind, found.sequence, found.body[0]], [Kind.error, number, Origin.notBegun]);
    }
  }
  const whole = 20 * cost + 2 * MESSAGE_COST;
  assert.ok(given <= whole && given >= 20 * cost - ATTACKED_WINDOW / 2 - cost, String(given));
  hold.resolve();
  await attack.leave();
});

test("a sender without credit says so once, sends no more, and goes on with a byte of it", async () => {
  const { client, session, say, leave } = await attackedClient();
  const body = patternBytes(1_000);
  let left = ATTACKED_WINDOW - MESSAGE_COST - 5;
  const count = Math.ceil(left / (MESSAGE_COST + 1_000));
  const sends = Array.from({ length: count + 5 }, () => client.send(body));
  for (let i = 0; i < count; i++, left -= MESSAGE_COST + 1_000)
    assert.equal((await session.receive()).kind, Kind.message);
  assert.ok(left <= 0);
  const blocked = await session.receive();
  assert.deepEqual([blocked.kind, blocked.sequence], [Kind.blocked, 0]);
  await Promise.all(sends.slice(0, count));

  // What is free goes on: answers, pongs, cancels.
  const controller = new AbortController();
  const queued = rejectsWith(client.request(text("queued"), { signal: controller.signal }), "ERR_ABORTED");
  say(0, Kind.ping);
  assert.equal((await session.receive()).kind, Kind.pong);
  controller.abort();
  assert.equal((await queued).notBegun, true);
  say(2, Kind.message, text("asked by the server"));
  const refused = await session.receive();
  assert.deepEqual([refused.kind, refused.sequence], [Kind.error, 2]);

  // Back above zero by one byte: one message, whatever its length, and a word about the next.
  say(0, Kind.credit, u32Value(-left + 1));
  assert.equal((await session.receive()).kind, Kind.message);
  await sends[count];
  say(0, Kind.ping);
  let next = await session.receive();
  if (next.kind === Kind.blocked) next = await session.receive();
  assert.equal(next.kind, Kind.pong);
  say(0, Kind.credit, u32Value(100_000));
  for (let i = 1; i < 5; i++) assert.equal((await session.receive()).kind, Kind.message);
  await Promise.all(sends);
  await leave();
});

test("a peer that did not handle more than the high-water mark is full: `sendNoWait` keeps nothing for it", async () => {
  const { client, session, say, leave } = await attackedClient({ highWaterMarkBytes: 500_000 });
  const body = patternBytes(10_000);
  const kindsUntilPong = async (): Promise<number[]> => {
    const kinds: number[] = [];
    say(0, Kind.ping);
    for (let kind = 0; kind !== Kind.pong; kinds.push(kind)) ({ kind } = await session.receive());
    return kinds.slice(0, -1);
  };
  // Up to the mark: what has no credit is kept.
  const count = Math.ceil(ATTACKED_WINDOW / (MESSAGE_COST + body.length)) + 5;
  for (let i = 0; i < count; i++) assert.equal(client.sendNoWait(body), true);
  const first = await kindsUntilPong();
  assert.equal(first.filter((kind) => kind === Kind.blocked).length, 1);
  assert.ok(client.stats.pendingBytes >= 50_000, String(client.stats.pendingBytes));

  // Beyond it, once all is spent, with the credit that the peer may owe: nothing is kept, and it hears once that there is more.
  const most = 500_000 + MOST_COLLECTED_BYTES;
  say(0, Kind.credit, u32Value(most + 100_000));
  const kinds = await kindsUntilPong();
  assert.equal(client.stats.pendingBytes, 0);
  while (client.sendNoWait(body)) kinds.push(...(await kindsUntilPong()));
  assert.ok(client.stats.pendingBytes < MESSAGE_COST, String(client.stats.pendingBytes));
  assert.equal(client.sendNoWait(body), false);
  kinds.push(...(await kindsUntilPong()));
  const taken = kinds.filter((kind) => kind === Kind.message).length;
  assert.deepEqual([...new Set(kinds)], [Kind.message, Kind.blocked]);
  assert.equal(kinds.length, taken + 1);
  assert.ok(taken * (MESSAGE_COST + body.length) > most, String(taken));

  say(0, Kind.credit, u32Value(20_000));
  await kindsUntilPong();
  assert.equal(client.sendNoWait(body), true);
  assert.deepEqual(await kindsUntilPong(), [Kind.message]);
  await leave();
});

test("a send that gets no credit in time rejects, nothing of it is sent, and what follows it is", async () => {
  const { client, session, say, leave } = await attackedClient();
  await client.send(patternBytes(60_000));
  for (let i = 0; i < 4; i++) await client.send(patternBytes(60_000));
  for (let i = 0; i < 5; i++) assert.equal((await session.receive()).kind, Kind.message);
  // Without credit a ping and its pong show that the peer lives: that is no reason to wait for ever.
  const expired = [client.send(text("late"), { timeoutMs: 1 }), client.send(text("late"), { timeoutMs: 20 })];
  const waiting = [client.send(text("patient"), { timeoutMs: 0 }), client.send(text("patient"))];
  for (const send of expired) assert.equal((await rejectsWith(send, "ERR_REQUEST_TIMEOUT")).notBegun, true);
  say(0, Kind.credit, u32Value(100_000));
  const bodies: string[] = [];
  while (bodies.length < 2) {
    const { kind, body } = await session.receive();
    if (kind === Kind.message) bodies.push(fromText(body));
  }
  assert.deepEqual(bodies, ["patient", "patient"]);
  await Promise.all(waiting);
  await leave();
});

test("impossible credit ends the connection", async () => {
  const most = 0x7fffffff;
  for (const [what, bodies] of [
    ["none", [u32Value(0)]],
    ["more than there is", [u32Value(most)]],
    ["more than there is, in two", [u32Value(most - ATTACKED_WINDOW), u32Value(ATTACKED_WINDOW)]],
    ["2^32 - 1", [u32Value(0xffffffff)]],
    ["3 bytes", [new Uint8Array(3).fill(1)]],
    ["5 bytes", [new Uint8Array(5).fill(1)]],
    ["no number", [EMPTY]],
  ] as const) {
    const { reasons, say, leave } = await attackedClient();
    for (const body of bodies) say(0, Kind.credit, body);
    await waitFor(() => reasons.length === 1, what);
    assert.deepEqual(reasons, ["ERR_PROTOCOL"], what);
    await leave();
  }
});

test("chunks beyond their stream's credit end the connection; up to it none does", async () => {
  const hold = deferred();
  const attack = await attackedServer({ onMessage: () => hold.promise });
  attack.say(1, Kind.call, streamHead());
  let left = STREAM_WINDOW;
  for (; left > 0; left -= CHUNK_COST + 1_000)
    attack.say(1, Kind.chunk, concat(Uint8Array.of(0), patternBytes(1_000)));
  // Whoever asks for more gets none: nobody takes what came.
  for (let i = 0; i < 10; i++) attack.say(1, Kind.blocked);
  assert.deepEqual(
    (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit),
    [],
  );
  attack.say(1, Kind.chunk, Uint8Array.of(0));
  await attack.expectEnd();
  hold.resolve();
});

test("records of streams that can't be", async () => {
  const ended = (attack: Awaited<ReturnType<typeof attackedServer>>) => attack.say(1, Kind.end);
  const attempts: [string, (attack: Awaited<ReturnType<typeof attackedServer>>) => void][] = [
    ["a chunk without flags", (attack) => attack.say(1, Kind.chunk)],
    ["a chunk of no stream", (attack) => attack.say(0, Kind.chunk, Uint8Array.of(0))],
    ["an end of no stream", (attack) => attack.say(0, Kind.end)],
    ["a stop of no stream", (attack) => attack.say(0, Kind.stop)],
    ["a chunk of a call that never was", (attack) => attack.say(3, Kind.chunk, Uint8Array.of(0))],
    ["credit for a request that never was", (attack) => attack.say(2, Kind.credit, u32Value(1))],
    ["a stop of a call that never was", (attack) => attack.say(9, Kind.stop)],
    ["no credit", (attack) => attack.say(1, Kind.credit, u32Value(0))],
    ["credit of 3 bytes", (attack) => attack.say(1, Kind.credit, new Uint8Array(3))],
    ["too much credit", (attack) => attack.say(1, Kind.credit, u32Value(0x7fffffff))],
    [
      "a chunk behind the end",
      (attack) => {
        ended(attack);
        attack.say(1, Kind.chunk, Uint8Array.of(0));
      },
    ],
    [
      "two ends",
      (attack) => {
        ended(attack);
        ended(attack);
      },
    ],
    [
      "an end inside of an item",
      (attack) => {
        attack.say(1, Kind.chunk, Uint8Array.of(CHUNK_CONTINUES, 1));
        ended(attack);
      },
    ],
    [
      "a chunk of a request without a head",
      (attack) => {
        attack.say(3, Kind.message);
        attack.say(3, Kind.chunk, Uint8Array.of(0));
      },
    ],
    [
      "an end of a request without a head",
      (attack) => {
        attack.say(3, Kind.message);
        attack.say(3, Kind.end);
      },
    ],
    ["the number of a call that goes on", (attack) => attack.say(1, Kind.message, EMPTY)],
    ["a cancel of a call that never was", (attack) => attack.say(77, Kind.cancel)],
    ["an error for a request that never was", (attack) => attack.say(2, Kind.error)],
    ["a call of this side's parity", (attack) => attack.say(2, Kind.call, streamHead())],
    ["a call shorter than its head's length", (attack) => attack.say(3, Kind.call, Uint8Array.of(0))],
    ["a head longer than its call", (attack) => attack.say(3, Kind.call, Uint8Array.of(0, 9, 1))],
  ];
  for (const [what, attempt] of attempts) {
    const hold = deferred();
    const attack = await attackedServer({
      onMessage: async (message) => {
        message.signal.addEventListener("abort", () => hold.resolve());
        await hold.promise;
      },
    });
    attack.say(1, Kind.call, streamHead());
    assert.deepEqual(await attack.saidUntilPong(), [], what);
    attempt(attack);
    await attack.expectEnd();
  }
});

test("a malformed head fails its call and no other; the connection goes on", async () => {
  const attack = await attackedServer({ onMessage: echo });
  const heads: [string, Uint8Array][] = [
    ["cut short", Uint8Array.of(1, 0)],
    ["a value cut short", Uint8Array.of(1, 0, 4, 0)],
    ["a tag twice", encodeFields(new Map([[2, EMPTY]])).length ? Uint8Array.of(2, 0, 0, 2, 0, 0) : EMPTY],
    ["descending tags", Uint8Array.of(4, 0, 1, 0, 2, 0, 0)],
    ["a deadline of 3 bytes", encodeFields(new Map([[1, new Uint8Array(3)]]))],
    ["a method of 1,025 bytes", encodeFields(new Map([[2, new Uint8Array(1_025).fill(97)]]))],
    ["a trace of 257 bytes", encodeFields(new Map([[3, new Uint8Array(257).fill(97)]]))],
    ["a content type of 2 bytes", encodeFields(new Map([[4, new Uint8Array(2)]]))],
    ["stream credit of 5 bytes", encodeFields(new Map([[6, new Uint8Array(5)]]))],
    ["a critical field", encodeFields(new Map([[64, EMPTY]]))],
    ["the last critical field", encodeFields(new Map([[127, EMPTY]]))],
  ];
  let number = 1;
  for (const [what, head] of heads) {
    const length = Uint8Array.of(head.length >>> 8, head.length);
    attack.say(number, Kind.call, concat(length, head, text("body")));
    const { kind, sequence, body } = await attack.session.receive();
    assert.deepEqual([kind, sequence, body[0]], [Kind.error, number, Origin.notBegun], what);
    const code = fromText(body.slice(2, 2 + body[1]!));
    assert.equal(code, what.includes("critical") ? "ERR_UNSUPPORTED" : "ERR_PROTOCOL", what);
    number += 2;
  }
  for (const head of [
    EMPTY,
    encodeFields(new Map([[63, text("unknown")]])),
    encodeFields(new Map([[255, EMPTY]])),
  ]) {
    const length = Uint8Array.of(head.length >>> 8, head.length);
    attack.say(number, Kind.call, concat(length, head, text("body")));
    const { kind, body } = await attack.session.receive();
    assert.deepEqual([kind, fromText(body)], [Kind.reply, "body"]);
    number += 2;
  }
  await attack.leave();
});

test("short chunks of one item cost about their bytes, and an item above the limit is stopped", async () => {
  const items: Deferred<string> = deferred();
  const attack = await attackedServer({
    maxFrameBytes: 65_536,
    onMessage: async (message) => {
      try {
        for await (const item of message) items.resolve(`an item of ${item.length}`);
      } catch (error) {
        items.resolve((error as { code: string }).code);
      }
      message.reply(text("answered"));
    },
  });
  attack.say(1, Kind.call, streamHead());
  let left = STREAM_WINDOW;
  let said = 0;
  while (said <= 65_536) {
    for (; left > 0 && said <= 65_536; left -= CHUNK_COST + 100, said += 100)
      attack.say(1, Kind.chunk, concat(Uint8Array.of(CHUNK_CONTINUES), new Uint8Array(100)));
    for (const found of await attack.saidUntilPong()) if (found.kind === Kind.credit) left += creditOf(found);
  }
  assert.equal(await items.promise, "ERR_MESSAGE_TOO_LARGE");
  const [stop, answer] = (await attack.saidUntilPong()).filter(({ kind }) => kind !== Kind.credit);
  if (answer !== undefined) assert.equal(stop!.kind, Kind.stop);
  attack.say(1, Kind.chunk, Uint8Array.of(0));
  attack.say(1, Kind.end);
  await attack.saidUntilPong();
  assert.deepEqual(attack.ends, []);
  await attack.leave();
});

test("what crosses the end of a call is dropped: of a stream that was answered, cancelled, or whose deadline passed", async () => {
  const { promise: told, resolve: tell } = deferred();
  const hold = deferred();
  const attack = await attackedServer({
    onMessage: async (message: Message) => {
      if (message.head.method === "answer") message.reply(EMPTY);
      else {
        message.signal.addEventListener("abort", () => tell());
        await hold.promise;
      }
    },
  });
  const flood = (number: number) => {
    attack.say(number, Kind.chunk, concat(Uint8Array.of(0), patternBytes(100)));
    attack.say(number, Kind.credit, u32Value(5));
    attack.say(number, Kind.blocked);
    attack.say(number, Kind.stop);
    attack.say(number, Kind.chunk, concat(Uint8Array.of(CHUNK_CONTINUES), patternBytes(100)));
    attack.say(number, Kind.cancel);
    attack.say(number, Kind.cancel);
    attack.say(number, Kind.end);
  };
  attack.say(1, Kind.call, streamHead({ method: "answer" }));
  await attack.saidUntilPong();
  flood(1);
  // The deadline passes here, and the caller does not know it yet.
  attack.say(3, Kind.call, streamHead({ deadlineMs: 20 }));
  await told;
  attack.say(3, Kind.chunk, concat(Uint8Array.of(0), patternBytes(100)));
  flood(3);
  await attack.saidUntilPong();
  attack.say(5, Kind.call, streamHead());
  attack.say(5, Kind.cancel);
  attack.say(5, Kind.chunk, concat(Uint8Array.of(0), patternBytes(100)));
  await attack.saidUntilPong();
  hold.resolve();
  const ends = new Set<number>();
  while (ends.size < 2) {
    for (const found of await attack.saidUntilPong()) if (found.kind === Kind.error) ends.add(found.sequence);
  }
  assert.deepEqual([...ends].sort(), [3, 5]);
  flood(5);
  await attack.saidUntilPong();
  assert.deepEqual(attack.ends, []);
  await attack.leave();
});

test("floods of what is free: the peer that does not read makes this side hold next to nothing", async () => {
  const FLOOD = 20_000;
  const floods: [string, (session: RawSession) => Uint8Array][] = [
    ["ping", () => record(0, Kind.ping, EMPTY)],
    ["pong", () => record(0, Kind.pong, EMPTY)],
    ["cancel", () => record(1, Kind.cancel, EMPTY)],
    ["blocked", () => record(0, Kind.blocked, EMPTY)],
    ["blocked of a stream", () => record(1, Kind.blocked, EMPTY)],
    ["stop", () => record(1, Kind.stop, EMPTY)],
    ["credit", () => record(0, Kind.credit, u32Value(1))],
    ["credit of a stream", () => record(1, Kind.credit, u32Value(1))],
    ["reserved", () => record(5, 64, EMPTY)],
    ["the last reserved", () => record(0, 127, EMPTY)],
    ["drain", () => record(0, Kind.drain, EMPTY)],
  ];
  for (const [what, make] of floods) {
    const hold = deferred();
    const attack = await attackedServer({ onMessage: () => hold.promise, drainTimeoutMs: 60_000 });
    attack.say(1, Kind.call, streamHead());
    await attack.saidUntilPong();
    attack.session.peer.socket.pause();
    const [connection] = attack.server.connections;
    let most = 0;
    const bundle = Array.from({ length: 1_000 }, () => make(attack.session));
    for (let i = 0; i < FLOOD; i += bundle.length) {
      attack.session.peer.write(attack.session.sealBundle(...bundle));
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, connection!.pendingBytes);
    }
    attack.session.peer.socket.resume();
    if (what !== "drain") await attack.saidUntilPong();
    assert.ok(most < 4_096, `${what}: ${most} bytes waited`);
    assert.deepEqual(attack.ends, [], what);
    hold.resolve();
    await attack.leave();
  }
});

test("opening and cancelling gains nothing: a number is free when its handler has settled", async () => {
  let running = 0;
  let most = 0;
  let begun = 0;
  const attack = await attackedServer({
    maxRequests: 128,
    maxConcurrentHandlers: 8,
    onMessage: async (message) => {
      begun++;
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => message.signal.addEventListener("abort", () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    },
  });
  let ends = 0;
  let number = 1;
  let open = 0;
  while (ends < 2_000) {
    for (; open < 128; open++, number += 2) {
      attack.say(number, Kind.message, EMPTY);
      attack.say(number, Kind.cancel);
    }
    for (const found of await attack.saidUntilPong()) {
      if (found.kind !== Kind.error) continue;
      ends++;
      open--;
    }
  }
  assert.ok(most <= 8, `${most} handlers at once`);
  assert.ok(begun < ends);
  assert.deepEqual(attack.ends, []);
  while (open > 0) open -= (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.error).length;
  for (; open < 129; open++, number += 2) attack.say(number, Kind.message, EMPTY);
  await attack.expectEnd();
});

test("what a peer can make this side hold is a sum of its settings", async () => {
  const hold = deferred();
  const STREAMS = 128;
  const attack = await attackedServer({ maxConcurrentHandlers: 1_024, onMessage: () => hold.promise });
  // Nobody takes anything of any stream: each holds its first credit, less than a chunk more, and asking brings none.
  const chunk = concat(Uint8Array.of(0), patternBytes(4_000));
  let held = 0;
  for (let i = 0; i < STREAMS; i++) {
    attack.say(2 * i + 1, Kind.call, streamHead());
    let left = STREAM_WINDOW;
    for (; left > 0; left -= CHUNK_COST + 4_000, held += 4_000) attack.say(2 * i + 1, Kind.chunk, chunk);
    attack.say(2 * i + 1, Kind.blocked);
  }
  const before = await attack.saidUntilPong();
  assert.deepEqual(
    before.filter(({ kind, sequence }) => kind === Kind.credit && sequence !== 0),
    [],
  );
  assert.ok(held <= STREAMS * (STREAM_WINDOW + 4_000));
  // One stream more is refused, as not begun.
  attack.say(2 * STREAMS + 1, Kind.call, streamHead());
  const refused = (await attack.saidUntilPong()).find(({ kind }) => kind === Kind.error)!;
  assert.deepEqual([refused.sequence, refused.body[0]], [2 * STREAMS + 1, Origin.notBegun]);
  // What was sent to the stream that was refused is dropped, and one chunk more of another ends the connection.
  attack.say(2 * STREAMS + 1, Kind.chunk, chunk);
  assert.deepEqual(attack.ends, []);
  await attack.saidUntilPong();
  attack.say(1, Kind.chunk, Uint8Array.of(0));
  await attack.expectEnd();
  hold.resolve();
});
