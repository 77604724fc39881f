// A bundle with more messages than handlers may run at once: the messages wait in order, with everything behind them.

import assert from "node:assert/strict";
import type { Message, Server } from "../../../src/index.ts";
import { Origin } from "../../../src/protocol/errorBody.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import type { ServerOptions } from "../../../src/rpc/api.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawPeer, u32 } from "../../support/rawPeer.ts";
import { type RawSession, record } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  type Deferred,
  deferred,
  fromText,
  patternBytes,
  sleep,
  startClient,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const LIMIT = 3;
const EMPTY = new Uint8Array(0);
const drain = record(0, Kind.drain, EMPTY);
const close = record(0, Kind.close, EMPTY);
const oneWay = (body: string): Uint8Array => record(0, Kind.message, text(body));
const numberedTexts = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `message ${from + i}`);

/** A server whose handlers run until they are told to end. It notes what they were given, and how many ran. */
class SlowServer {
  server!: Server;
  /** Text of each body, or its length where that is long. */
  readonly given: string[] = [];
  readonly aborted: string[] = [];
  readonly reasons: (string | undefined)[] = [];
  running = 0;
  most = 0;
  readonly #waiting: Deferred<void>[] = [];
  #ended = 0;

  static async start(options: ServerOptions = {}): Promise<SlowServer> {
    const slow = new SlowServer();
    slow.server = await startServer({
      ...v2.options,
      maxConcurrentHandlers: LIMIT,
      onMessage: (message) => slow.#handle(message),
      onConnectionState: (_connection, state, error) => {
        if (state === "closed") slow.reasons.push(error?.code);
      },
      ...options,
    });
    return slow;
  }

  async connect(): Promise<RawSession> {
    return v2.rawSession(await RawPeer.connect(this.server.port), "client");
  }

  async #handle(message: Message): Promise<void> {
    const body = message.body.length > 100 ? `${message.body.length} bytes` : fromText(message.body);
    this.given.push(body);
    this.running++;
    this.most = Math.max(this.most, this.running);
    message.signal.addEventListener("abort", () => this.aborted.push(body));
    const told = deferred();
    this.#waiting.push(told);
    await told.promise;
    this.running--;
    if (message.expectsReply) message.reply(text(`done: ${body}`));
  }

  /** The oldest handler that runs ends. */
  endOne(): void {
    this.#waiting.shift()!.resolve();
    this.#ended++;
  }

  /** Ends handlers one after the other until `count` have ended in all. */
  async endUntil(count: number): Promise<void> {
    while (this.#ended < count) {
      await waitFor(
        () => this.#waiting.length > 0,
        () => `message ${this.#ended} of ${count}; connections ended: ${this.reasons}`,
      );
      this.endOne();
    }
    await waitFor(() => this.running === 0, "the last handler to end");
  }

  /** As many run as may, and time brings no more. */
  async expectFull(given: number): Promise<void> {
    await waitFor(
      () => this.given.length >= given,
      () => `${given} messages, ${this.given.length} came; connections ended: ${this.reasons}`,
    );
    await sleep(10);
    assert.equal(this.given.length, given);
    assert.equal(this.running, LIMIT);
  }
}

/** The raw peer goes, without a good-bye. */
async function vanish(session: RawSession, slow: SlowServer): Promise<void> {
  session.destroy();
  await session.peer.destroy();
  await waitFor(() => slow.reasons.length === 1, "the server to note the loss");
  assert.deepEqual(slow.reasons, ["ERR_CONNECTION_LOST"]);
}

/** What had begun goes on; the connection ends for what stands behind it, and what waits is never handled. */
async function expectEnd(
  session: RawSession,
  slow: SlowServer,
  code: string,
  begun: string[],
): Promise<void> {
  await session.peer.ended();
  await waitFor(() => slow.reasons.length === 1, "the end");
  assert.deepEqual(slow.reasons, [code]);
  await slow.endUntil(begun.length);
  await sleep(10);
  assert.deepEqual(slow.given, begun);
  session.destroy();
  await session.peer.destroy();
}

/** All that was written before has been taken in: a ping waits behind nothing. */
async function expectPong(session: RawSession): Promise<void> {
  session.peer.write(session.seal(0, EMPTY, Kind.ping));
  assert.equal((await session.receive()).kind, Kind.pong);
}

for (const [engine, messageBodies] of [
  ["auto", "copy"],
  ["wasm", "copy"],
  ["wasm", "view"],
  ["native", "copy"],
  ["native", "view"],
] as const) {
  test(`more messages than handlers may run (${engine}, ${messageBodies}): in order, never too many at once`, async () => {
    const slow = await SlowServer.start({ engine, messageBodies });
    const session = await slow.connect();
    const texts = numberedTexts(40);
    session.peer.write(session.sealBundle(...texts.map(oneWay)));
    await slow.expectFull(LIMIT);
    slow.endOne();
    await slow.expectFull(LIMIT + 1);
    await slow.endUntil(40);
    assert.deepEqual(slow.given, texts);
    assert.equal(slow.most, LIMIT);
    await vanish(session, slow);
  });
}

test("everything behind such a bundle waits, too, requests and one-way messages in turn: frames of the same read and of later ones", async () => {
  const slow = await SlowServer.start();
  const session = await slow.connect();
  const request = (number: number): Uint8Array => record(number, Kind.message, text(`request ${number}`));
  session.peer.write(
    concat(
      session.sealBundle(...numberedTexts(5).map(oneWay), request(1)),
      session.seal(3, text("request 3")),
      session.seal(0, concat(text("padded"), new Uint8Array([0, 0, 3])), Kind.message | 0x80),
      session.sealBundle(request(5), ...numberedTexts(5, 5).map(oneWay)),
      session.seal(0, patternBytes(70_000)),
      session.sealBundle(request(7), oneWay("of the same write")),
    ),
  );
  await slow.expectFull(LIMIT);
  session.peer.write(session.sealBundle(oneWay("later"), request(9)));
  session.peer.write(session.seal(0, text("last")));
  await expectPong(session);
  const expected = [
    ...numberedTexts(3),
    "request 1",
    "message 3",
    "request 3",
    "message 4",
    "request 5",
    "padded",
    "request 7",
    "message 5",
    "request 9",
    ...numberedTexts(4, 6),
    "70000 bytes",
    "of the same write",
    "later",
    "last",
  ];
  await slow.endUntil(expected.length);
  assert.deepEqual(slow.given, expected);
  assert.equal(slow.most, LIMIT);
  for (const number of [1, 3, 5, 7, 9]) {
    const { kind, sequence, body } = await session.receive();
    assert.deepEqual([kind, sequence, fromText(body)], [Kind.reply, number, `done: request ${number}`]);
  }
  await vanish(session, slow);
});

test("the peer's drain and close are heard at once; the messages before them are handled, and the end is in good order", async () => {
  for (const inBundle of [true, false]) {
    const slow = await SlowServer.start();
    const session = await slow.connect();
    const texts = numberedTexts(10);
    const requests = texts.map((body, i) => record(2 * i + 1, Kind.message, text(body)));
    session.peer.write(
      inBundle
        ? session.sealBundle(...requests, drain, close)
        : concat(
            session.sealBundle(...requests),
            session.seal(0, EMPTY, Kind.drain),
            session.seal(0, EMPTY, Kind.close),
          ),
    );
    session.peer.socket.end();
    await slow.expectFull(LIMIT);
    assert.equal((await session.receive()).kind, Kind.drain);
    assert.deepEqual(slow.reasons, []);
    await slow.endUntil(10);
    assert.deepEqual(slow.given, texts);
    assert.equal(slow.most, LIMIT);
    for (let i = 0; i < 10; i++) {
      const { kind, sequence, body } = await session.receive();
      assert.deepEqual([kind, sequence, fromText(body)], [Kind.reply, 2 * i + 1, `done: message ${i}`]);
    }
    assert.equal((await session.receive()).kind, Kind.close);
    await session.peer.ended();
    await waitFor(() => slow.reasons.length === 1, "the end");
    assert.deepEqual(slow.reasons, [undefined]);
    session.destroy();
    await session.peer.destroy();
  }
});

test("a bundle in a large frame", async () => {
  const slow = await SlowServer.start();
  const session = await slow.connect();
  const texts = numberedTexts(400);
  session.peer.write(
    concat(
      session.sealBundle(
        ...texts.slice(0, 200).map(oneWay),
        record(0, Kind.message, patternBytes(200_000)),
        ...texts.slice(200).map(oneWay),
        record(1, Kind.message, patternBytes(60_000)),
      ),
      session.seal(0, text("behind it")),
    ),
  );
  await slow.expectFull(LIMIT);
  await expectPong(session);
  await slow.endUntil(403);
  // The request is the only one of its kind: it begins before the one-way messages that wait.
  assert.deepEqual(slow.given, [
    ...texts.slice(0, LIMIT),
    "60000 bytes",
    ...texts.slice(LIMIT, 200),
    "200000 bytes",
    ...texts.slice(200),
    "behind it",
  ]);
  assert.equal(slow.most, LIMIT);
  assert.equal(fromText((await session.receive()).body), "done: 60000 bytes");
  await vanish(session, slow);
});

test("bodies of a bundle in a large frame are the application's, each for itself", async () => {
  const bodies: Uint8Array[] = [];
  const server = await startServer({ ...v2.options, onMessage: (message) => void bodies.push(message.body) });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  session.peer.write(
    session.sealBundle(
      ...Array.from({ length: 100 }, (_, i) => record(0, Kind.message, patternBytes(1_000, i))),
    ),
  );
  await waitFor(() => bodies.length === 100, "the messages");
  for (const [i, body] of bodies.entries()) {
    assert.deepEqual(body, patternBytes(1_000, i));
    // Those that waited for their turn may share the 64 times their length that bodies may retain, as copied bodies do.
    assert.ok(body.buffer.byteLength <= 64 * body.length, "a body holds on to the whole frame");
  }
  session.destroy();
  await session.peer.destroy();
});

test("a cancel in a bundle is heard at once, also of a request that waits: that one is never begun", async () => {
  const slow = await SlowServer.start();
  const session = await slow.connect();
  const request = (number: number): Uint8Array => record(number, Kind.message, text(`request ${number}`));
  const cancel = (number: number): Uint8Array => record(number, Kind.cancel, EMPTY);
  session.peer.write(
    session.sealBundle(
      ...[request(1), request(3), cancel(1), request(5), request(7), request(9), cancel(7), cancel(3)],
    ),
  );
  await slow.expectFull(LIMIT);
  const refused = await session.receive();
  assert.deepEqual([refused.kind, refused.sequence, refused.body[0]], [Kind.error, 7, Origin.notBegun]);
  assert.deepEqual(slow.aborted, ["request 1", "request 3"]);
  await slow.endUntil(4);
  assert.deepEqual(slow.given, ["request 1", "request 3", "request 5", "request 9"]);
  for (const [number, kind] of [
    [1, Kind.error],
    [3, Kind.error],
    [5, Kind.reply],
    [9, Kind.reply],
  ]) {
    const ended = await session.receive();
    assert.deepEqual([ended.sequence, ended.kind], [number, kind]);
    if (kind === Kind.error) assert.equal(ended.body[0], Origin.library);
  }
  await vanish(session, slow);
});

test("a malformed record behind messages that wait ends the connection at once", async () => {
  for (const tail of [
    u32(4),
    record(0, Kind.bundle, EMPTY),
    record(0, Kind.message | 0x80, new Uint8Array([0, 2])),
  ]) {
    const slow = await SlowServer.start();
    const session = await slow.connect();
    const texts = numberedTexts(6);
    session.peer.write(
      concat(
        session.seal(0, concat(...texts.map(oneWay), tail), Kind.bundle),
        session.seal(0, text("never")),
      ),
    );
    await expectEnd(session, slow, "ERR_PROTOCOL", texts.slice(0, LIMIT));
  }
});

test("a frame of the same read that can't be taken apart ends the connection, and what waits is never handled", async () => {
  const attempts: [code: string, say: (session: RawSession) => Uint8Array][] = [
    ["ERR_PROTOCOL", (session) => session.seal(0, EMPTY, Kind.bundle)],
    ["ERR_PROTOCOL", (session) => session.seal(0, new Uint8Array([0, 1]), Kind.bundle | 0x80)],
    ["ERR_PROTOCOL", (session) => session.seal(0, record(0, Kind.bundle, oneWay("nested")), Kind.bundle)],
    ["ERR_PROTOCOL", (session) => session.seal(0, text("a frame of unknown kind"), 63)],
    ["ERR_DECRYPT", () => concat(u32(40), patternBytes(40))],
  ];
  for (const [code, say] of attempts) {
    const slow = await SlowServer.start();
    const session = await slow.connect();
    const texts = numberedTexts(6);
    session.peer.write(concat(session.sealBundle(...texts.map(oneWay)), say(session)));
    await expectEnd(session, slow, code, texts.slice(0, LIMIT));
  }
});

test("messages that wait when their connection ends are never handled", async () => {
  const slow = await SlowServer.start({ drainTimeoutMs: 50 });
  const session = await slow.connect();
  session.peer.write(session.sealBundle(...numberedTexts(20).map(oneWay)));
  await slow.expectFull(LIMIT);
  await slow.server.close();
  assert.deepEqual(slow.reasons, ["ERR_CLOSED"]);
  await slow.endUntil(LIMIT);
  await sleep(10);
  assert.deepEqual(slow.given, numberedTexts(LIMIT));
  session.destroy();
  await session.peer.destroy();
});

test("an honest client's calls of one turn: all are answered, never too many at once", async () => {
  let running = 0;
  let most = 0;
  const given: number[] = [];
  const server = await startServer({
    ...v2.options,
    maxConcurrentHandlers: LIMIT,
    onMessage: async (message) => {
      const number = Number(fromText(message.body));
      given.push(number);
      most = Math.max(most, ++running);
      await sleep(number % 3 === 0 ? 1 : 0);
      running--;
      message.reply(message.body);
    },
  });
  const client = startClient({ ...v2.options, port: server.port, maxConnections: 1 });
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  const answers = await Promise.all(numbers.map((number) => client.request(text(String(number)))));
  assert.deepEqual(
    answers.map((answer) => Number(fromText(answer))),
    numbers,
  );
  assert.deepEqual(given, numbers);
  assert.equal(most, LIMIT);
});
