// Requests and replies that share a frame are handled in loops of their own (rpc/messageRuns.ts, rpc/replies.ts). Whatever
// they are, the same happens as to the same records in frames of their own.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { encodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import type { ServerOptions } from "../../../src/rpc/api.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawPeer } from "../../support/rawPeer.ts";
import { type RawSession, record } from "../../support/rawSession.ts";
import { checkLeaksAfterEachTest, fromText, startServer, text, waitFor } from "../../support/rpcHarness.ts";
import { startScripted } from "../../support/scriptedServer.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);

interface Spoken {
  readonly sequence: number;
  readonly kind: number;
  readonly body?: Uint8Array;
}

/** Writes records in one frame, or each in its own. */
function write(
  session: RawSession,
  records: readonly Spoken[],
  together: boolean,
  behind: Uint8Array = EMPTY,
): void {
  const sealed = together
    ? [
        session.sealBundle(
          ...records.map(({ sequence, kind, body = EMPTY }) => record(sequence, kind, body)),
          behind,
        ),
      ]
    : records.map(({ sequence, kind, body = EMPTY }) => session.seal(sequence, body, kind));
  session.peer.write(concat(...sealed));
}

// ---- Replies ----------------------------------------------------------------------------------------------

const REQUESTS = 6;
const INTO = 3;
const ABORTED = 4;
const CALL = 5;

const reply = (sequence: number, body = `reply to ${sequence}`): Spoken => ({
  sequence,
  kind: Kind.reply,
  body: text(body),
});

/** What became of six calls whose server said this: the fourth has a buffer, the fifth was aborted, the sixth is a call. */
async function outcomesOf(
  speak: (numbers: number[]) => Spoken[],
  together: boolean,
  behind?: Uint8Array,
): Promise<{ outcomes: string[]; end: string | undefined; droppedReplies: number }> {
  const { client, session, ends, leave } = await startScripted();
  const abort = new AbortController();
  const into = new Uint8Array(16);
  const outcomes: string[] = Array.from({ length: REQUESTS }, () => "waits");
  const note = (i: number, call: Promise<Uint8Array>): void => {
    call.then(
      (body) => {
        outcomes[i] = `${fromText(body)}${body.buffer === into.buffer ? " in its buffer" : ""}`;
      },
      (error) => {
        outcomes[i] = error.code;
      },
    );
  };
  const numbers: number[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const options = i === INTO ? { into } : i === ABORTED ? { signal: abort.signal } : undefined;
    note(i, i === CALL ? client.call(text("call")).answer : client.request(text(`request ${i}`), options));
    numbers.push((await session.receive()).sequence);
  }
  abort.abort();
  assert.equal((await session.receive()).kind, Kind.cancel);
  write(session, speak(numbers), together, behind);
  session.peer.write(session.seal(90_001, EMPTY, Kind.ping));
  await Promise.race([session.receiveUntilPong().catch(() => {}), session.peer.ended()]);
  const found = { outcomes: [...outcomes], end: ends[0], droppedReplies: client.stats.droppedReplies };
  await leave();
  return found;
}

const replies: [what: string, speak: (numbers: number[]) => Spoken[], outcomes: string[], end?: string][] = [
  [
    "all of them, the last first",
    (numbers) => numbers.map((number) => reply(number)).reverse(),
    ["reply to 1", "reply to 3", "reply to 5", "reply to 7 in its buffer", "ERR_ABORTED", "reply to 11"],
  ],
  [
    "one that is too long for its caller's buffer, between others",
    ([a, b, , into]) => [reply(a!), reply(into!, "x".repeat(17)), reply(b!)],
    ["reply to 1", "reply to 3", "waits", "ERR_MESSAGE_TOO_LARGE", "ERR_ABORTED", "waits"],
  ],
  [
    "other kinds between them",
    ([a, b, c]) => [
      reply(a!),
      { sequence: b!, kind: Kind.error, body: encodeError(Origin.handler, "ERR_NO", "no") },
      { sequence: 0, kind: Kind.pong },
      reply(c!),
    ],
    ["reply to 1", "ERR_REMOTE", "reply to 5", "waits", "ERR_ABORTED", "waits"],
  ],
  [
    "a second one",
    ([a, b]) => [reply(a!), reply(b!), reply(a!), reply(5)],
    [
      "reply to 1",
      "reply to 3",
      "ERR_CONNECTION_LOST",
      "ERR_CONNECTION_LOST",
      "ERR_ABORTED",
      "ERR_CONNECTION_LOST",
    ],
    "ERR_PROTOCOL",
  ],
  ...[0, 2, 13, 1 + 2 * 64, 0xffffffff].map((number): (typeof replies)[number] => [
    `one to number ${number}, which was never used`,
    ([a, b]) => [reply(a!), reply(number), reply(b!)],
    ["reply to 1", ...Array<string>(3).fill("ERR_CONNECTION_LOST"), "ERR_ABORTED", "ERR_CONNECTION_LOST"],
    "ERR_PROTOCOL",
  ]),
];

for (const [what, speak, outcomes, end] of replies) {
  test(`replies, together and alone: ${what}`, async () => {
    const together = await outcomesOf(speak, true);
    assert.deepEqual(together.outcomes, outcomes);
    assert.equal(together.end, end);
    assert.equal(
      together.droppedReplies,
      speak([1, 3, 5, 7, 9, 11]).some(({ sequence }) => sequence === 9) ? 1 : 0,
    );
    assert.deepEqual(await outcomesOf(speak, false), together);
  });
}

test("replies in front of records that do not fit into their frame have arrived", async () => {
  for (const behind of [text("abc"), record(5, Kind.reply, text("cut")).slice(0, -1)]) {
    const { outcomes, end } = await outcomesOf(([a, b]) => [reply(a!), reply(b!)], true, behind);
    assert.deepEqual(outcomes.slice(0, 3), ["reply to 1", "reply to 3", "ERR_CONNECTION_LOST"]);
    assert.equal(end, "ERR_PROTOCOL");
  }
});

// ---- Requests ---------------------------------------------------------------------------------------------

const request = (sequence: number, body: string): Spoken => ({
  sequence,
  kind: Kind.message,
  body: text(body),
});

interface Served {
  /** The bodies that the handler saw, in order. */
  readonly given: string[];
  /** What the peer got: number, kind and text of each record. */
  readonly got: string[];
  readonly end: string | undefined;
}

/**
 * What a server did with these records. Its handler obeys the body: "later" runs until the records were taken, "never"
 * until the end, "throw" and "close" do what they say, "no" does not answer.
 */
async function served(
  records: readonly Spoken[],
  together: boolean,
  options: Partial<ServerOptions> = {},
): Promise<Served> {
  const given: string[] = [];
  const ends: (string | undefined)[] = [];
  const later: (() => void)[] = [];
  const onMessage = (message: Message): Promise<void> | undefined => {
    const body = fromText(message.body);
    given.push(body);
    if (body.startsWith("throw")) throw new Error("thrown");
    if (body.startsWith("close")) message.connection.close();
    if (body.startsWith("never")) return new Promise<void>((resolve) => later.push(resolve));
    if (body.startsWith("later")) {
      return new Promise<void>((resolve) => {
        later.push(() => {
          if (message.expectsReply) message.reply(text(`answer to ${body}`));
          resolve();
        });
      });
    }
    if (message.expectsReply && !body.startsWith("no")) message.reply(text(`answer to ${body}`));
    return undefined;
  };
  const server = await startServer({
    ...v2.options,
    onMessage,
    onHandlerError: () => {},
    onConnectionState: (_connection, state, error) => {
      if (state === "closed") ends.push(error?.code ?? "none");
    },
    ...options,
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  write(session, records, together);
  const got: string[] = [];
  let pings = 90_001;
  /** Notes what comes until everything that was written before has been taken, or the connection ends. */
  const noteUntilPong = async (): Promise<void> => {
    session.peer.write(session.seal(pings, EMPTY, Kind.ping));
    pings += 2;
    for (;;) {
      const found = await session.receive().catch(() => undefined);
      if (found === undefined || found.kind === Kind.pong) return;
      got.push(`${found.sequence} ${found.kind} ${Buffer.from(found.body).toString("latin1")}`);
    }
  };
  await noteUntilPong();
  while (later.length > 0) {
    for (const goOn of later.splice(0)) goOn();
    if (ends.length === 0) await noteUntilPong();
  }
  const end = ends[0];
  session.destroy();
  await session.peer.destroy();
  await waitFor(() => ends.length > 0, "the connection to end");
  await server.close();
  return { given, got, end };
}

const numbered = (bodies: string[]): Spoken[] => bodies.map((body, i) => request(1 + 2 * i, body));

const requests: [
  what: string,
  records: Spoken[],
  expected: { given: string[]; end?: string },
  options?: Partial<ServerOptions>,
][] = [
  ["answered at once", numbered(["a", "b", "c"]), { given: ["a", "b", "c"] }],
  [
    "messages between them",
    [request(1, "a"), request(0, "m1"), request(0, "m2"), request(3, "b"), request(0, "m3"), request(5, "c")],
    { given: ["a", "m1", "m2", "b", "m3", "c"] },
  ],
  [
    "a handler that throws, and one that does not answer",
    numbered(["a", "throw", "no", "b"]),
    { given: ["a", "throw", "no", "b"] },
  ],
  [
    "a number again, once its request is answered",
    [request(1, "a"), request(1, "b"), request(1, "c")],
    { given: ["a", "b", "c"] },
  ],
  [
    "a number again while its handler runs",
    [request(1, "never"), request(3, "b"), request(1, "c"), request(5, "d")],
    { given: ["never", "b"], end: "ERR_PROTOCOL" },
  ],
  [
    "a number again that nobody answered",
    [request(1, "no"), request(3, "b"), request(1, "c")],
    { given: ["no", "b"], end: "ERR_PROTOCOL" },
  ],
  [
    "a number of the other side",
    [request(1, "a"), request(2, "b"), request(3, "c")],
    { given: ["a"], end: "ERR_PROTOCOL" },
  ],
  [
    "more than may be unfinished",
    numbered(Array.from({ length: 130 }, (_, i) => (i === 64 ? "a" : `no ${i}`))),
    { given: Array.from({ length: 129 }, (_, i) => (i === 64 ? "a" : `no ${i}`)), end: "ERR_PROTOCOL" },
    { maxRequests: 128 },
  ],
  [
    "more than handlers may run",
    numbered(["later 1", "later 2", "later 3", "a", "later 4", "b"]),
    { given: ["later 1", "later 2", "later 3", "a", "later 4", "b"] },
    { maxConcurrentHandlers: 2 },
  ],
  ["a handler that closes the connection", numbered(["a", "close", "b"]), { given: ["a", "close", "b"] }],
  [
    "views as bodies",
    numbered(["a", "later", "b", "throw", "c"]),
    { given: ["a", "later", "b", "throw", "c"] },
    { messageBodies: "view" },
  ],
  ["nobody who handles them", numbered(["a", "b"]), { given: [] }, { onMessage: undefined }],
];

for (const [what, records, expected, options] of requests) {
  test(`requests, together and alone: ${what}`, async () => {
    const together = await served(records, true, options);
    assert.deepEqual(together.given, expected.given);
    assert.equal(together.end, expected.end);
    assert.ok(together.got.length > 0 || expected.end !== undefined);
    assert.deepEqual(await served(records, false, options), together);
  });
}
