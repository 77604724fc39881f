// The rules of credit to the byte, with one side driven by hand: the cost of each record, what a balance of 0 and of 1
// permits, when credit is returned, and what is withheld. rpc/credit shows that the parts work together.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { FIRST_STREAM_CREDIT } from "../../../src/rpc/sharedWindow.ts";
import { ATTACKED_WINDOW, attackedServer } from "../../support/attackedServer.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import { checkLeaksAfterEachTest, text } from "../../support/rpcHarness.ts";
import { startScripted } from "../../support/scriptedServer.ts";
import { steppedPair } from "../../support/steppedPair.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const COST = 64;
const LONG = 60_000;

/** Handlers that take nothing back. */
const busy = { maxConcurrentHandlers: 2, onMessage: () => new Promise<void>(() => {}) };

/** The lengths of bodies whose records cost `total` together. */
function bodiesOf(total: number): number[] {
  const lengths: number[] = [];
  let left = total;
  for (; left > 2 * (LONG + COST); left -= LONG + COST) lengths.push(LONG);
  const half = left >>> 1;
  return [...lengths, half - COST, left - half - COST];
}

for (const [what, kind] of [
  ["messages", Kind.message],
  ["calls", Kind.call],
] as const) {
  test(`${what}: a balance of 1 permits one of any length, a balance of 0 none`, async () => {
    for (const left of [1, 0]) {
      const attack = await attackedServer(busy);
      // Two begin at once. Their credit goes back when nothing is left, or when it is half of the window.
      const least = kind === Kind.call ? 2 : 0;
      const begun = 2 * (least + COST);
      for (let i = 0; i < 2; i++) attack.say(0, kind, new Uint8Array(least));
      for (const bytes of bodiesOf(ATTACKED_WINDOW - begun - left))
        attack.say(0, kind, new Uint8Array(bytes));
      const said = await attack.saidUntilPong();
      assert.deepEqual(
        said.map((found) => found.kind),
        left === 0 ? [Kind.credit] : [],
      );
      if (left === 0) {
        assert.deepEqual(said[0]!.body, u32Value(begun));
        for (let i = 0; i < 2; i++) attack.say(0, kind, new Uint8Array(least));
      } else attack.say(0, kind, new Uint8Array(LONG));
      await attack.saidUntilPong();
      assert.deepEqual(attack.ends, []);
      attack.say(0, kind, new Uint8Array(least));
      await attack.expectEnd(`${what}, ${left} left`);
    }
  });
}

const head = (fields: [tag: number, value: Uint8Array][]): Uint8Array => {
  const bytes = encodeFields(new Map(fields));
  return concat(Uint8Array.of(bytes.length >>> 8, bytes.length), bytes);
};

test("chunks of a caller: flags cost nothing, a balance of 1 permits one of any length, a balance of 0 none", async () => {
  for (const left of [1, 0]) {
    const attack = await attackedServer(busy);
    attack.say(1, Kind.call, head([[5, EMPTY]]));
    attack.say(1, Kind.chunk, new Uint8Array(1 + FIRST_STREAM_CREDIT - COST - left));
    await attack.saidUntilPong();
    assert.deepEqual(attack.ends, []);
    attack.say(1, Kind.chunk, new Uint8Array(1 + LONG));
    if (left === 0) await attack.expectEnd();
    else {
      await attack.saidUntilPong();
      assert.deepEqual(attack.ends, []);
      attack.say(1, Kind.chunk, new Uint8Array(1));
      await attack.expectEnd();
    }
  }
});

test("credit adds to what is there, and a sender without any says so each time that it is used up", async () => {
  const { client, session, say, leave } = await startScripted();
  const connection = await client.connected();
  const call = connection.call(EMPTY);
  call.answer.catch(() => {});
  const { sequence } = await session.receive();
  const lengths = async (): Promise<(number | string)[]> =>
    (await session.receiveUntilPong())
      .filter((found) => found.sequence === sequence)
      .map(({ kind, body }) =>
        kind === Kind.chunk ? body.length - 1 : kind === Kind.blocked ? "blocked" : kind,
      );
  // Each a chunk, and all of the credit together.
  for (const bytes of [8_000, FIRST_STREAM_CREDIT - 8_000 - 2 * COST]) void call.write(new Uint8Array(bytes));
  void call.write(new Uint8Array(1_000)).catch(() => {});
  const first = [...(await lengths()), ...(await lengths())];
  assert.deepEqual(first.at(-1), "blocked");
  session.peer.write(
    concat(
      session.seal(sequence, u32Value(100), Kind.credit),
      session.seal(sequence, u32Value(100), Kind.credit),
    ),
  );
  assert.deepEqual([...(await lengths()), ...(await lengths())], [200 - COST, "blocked"]);
  say(sequence, Kind.credit, u32Value(70));
  assert.deepEqual([...(await lengths()), ...(await lengths())], [70 - COST, "blocked"]);
  await leave();
});

test("messages: a sender without credit says so each time that it is used up", async () => {
  const { client, session, say, leave } = await startScripted();
  const connection = await client.connected();
  for (let i = 0; i < 10; i++) connection.sendNoWait(new Uint8Array(LONG));
  const count = async (): Promise<number[]> => {
    const said = [...(await session.receiveUntilPong()), ...(await session.receiveUntilPong())];
    return [Kind.message, Kind.blocked].map((kind) => said.filter((found) => found.kind === kind).length);
  };
  assert.deepEqual(await count(), [5, 1]);
  for (let i = 0; i < 3; i++) {
    // What the last one overdrew, and a byte.
    say(0, Kind.credit, u32Value(i === 0 ? 5 * (LONG + COST) - ATTACKED_WINDOW + 1 : LONG + COST));
    assert.deepEqual(await count(), [1, 1]);
  }
  await leave();
});

function inMemory(server: object, client: object = {}) {
  const messageCreditBytes = ATTACKED_WINDOW;
  return steppedPair({ messageCreditBytes, ...server }, { messageCreditBytes, ...client });
}

test("the credit of a refusal goes back when it has been written, not when it is queued", async () => {
  const { network, turn, pump, client, serverLink, leave } = await inMemory({});
  const refused = client.request(text("nobody handles it")).catch((error: { remoteCode: string }) => error);
  await turn();
  network.deliver(0);
  for (let i = 0; i < 5; i++) await turn();
  // The socket holds the refusal, and nobody takes it.
  assert.ok(serverLink.arrivals.credit.held > 0);
  network.deliver(1);
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(serverLink.arrivals.credit.held, 0);
  let answer: { remoteCode?: string } | undefined;
  void refused.then((error) => {
    answer = error as { remoteCode: string };
  });
  await pump(() => answer !== undefined);
  assert.equal(answer!.remoteCode, "ERR_NO_HANDLER");
  await leave();
});

test("under pressure no credit is given, and all of it when that is over", async () => {
  const { network, turn, pump, client, clientLink, serverLink, leave } = await inMemory({
    maxFrameBytes: 131_072,
    maxPendingBytes: 131_072,
    onMessage: (message: Message) => void message.reply(new Uint8Array(100_000)),
  });
  const given: number[] = [];
  const { controls } = serverLink.outbox;
  const credit = controls.credit.bind(controls);
  controls.credit = (sequence, bytes) => {
    given.push(bytes);
    credit(sequence, bytes);
  };
  const move = async (): Promise<void> => {
    await turn();
    for (let i = 0; i < 20; i++) {
      network.deliver(0);
      await turn();
    }
  };
  const answers = Promise.all([client.request(EMPTY), client.request(EMPTY)]);
  await move();
  assert.equal(serverLink.outbox.blocked, true);
  // Malformed heads of one-way messages: they are dropped, and so dealt with at once.
  const malformed = new Uint8Array(LONG);
  malformed[1] = 1;
  for (let i = 0; i < 4; i++) clientLink.outbox.sender.append(0, Kind.call, malformed);
  await move();
  assert.deepEqual([given, serverLink.arrivals.credit.held], [[], 0]);
  // Nothing else arrives that could remind this side.
  for (let i = 0; i < 20; i++) {
    network.deliver(1);
    await turn();
  }
  assert.deepEqual(given, [4 * (LONG + COST) + 2 * COST]);
  let isAnswered = false;
  void answers.then(() => {
    isAnswered = true;
  });
  await pump(() => isAnswered);
  await leave();
});

test("at most one pong waits, with the number of the first ping", async () => {
  let isHandled = false;
  const onMessage = (): void => {
    isHandled = true;
  };
  const { network, turn, pump, client, clientLink, serverLink, leave } = await inMemory({ onMessage });
  const said: number[] = [];
  const { controls } = serverLink.outbox;
  const pong = controls.pong.bind(controls);
  controls.pong = (sequence) => {
    said.push(sequence);
    pong(sequence);
  };
  for (let i = 1; i <= 500; i++) {
    clientLink.outbox.sender.append(i, Kind.ping, EMPTY);
    if (i % 50 !== 0) continue;
    await turn();
    network.deliver(0);
  }
  client.sendNoWait(new Uint8Array(1));
  for (let i = 0; i < 500 && !isHandled; i++) {
    await turn();
    network.deliver(0);
  }
  assert.ok(isHandled, "the message behind the pings");
  // The first one is on its way, which nobody has taken.
  assert.deepEqual(said, [1]);
  await pump(() => serverLink.outbox.sender.pendingBytes === 0);
  clientLink.outbox.sender.append(501, Kind.ping, EMPTY);
  await pump(() => said.length === 2);
  assert.deepEqual(said, [1, 501]);
  await leave();
});
