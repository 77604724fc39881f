// The order of the last records, with one side driven by hand: a drain follows everything that was accepted before, and
// a close waits for the peer's drain, for this side's requests and for its handlers.

import assert from "node:assert/strict";
import type { Message, SealwireError } from "../../../src/index.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { attackedServer } from "../../support/attackedServer.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import { checkLeaksAfterEachTest, deferred, text } from "../../support/rpcHarness.ts";
import { startScripted } from "../../support/scriptedServer.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const WINDOW = 262_144;
const COST = 64;
const LONG = 60_000;

/** The kinds that a scripted server hears until everything that was said before has been handled. */
async function kindsOf({ session }: Awaited<ReturnType<typeof startScripted>>): Promise<number[]> {
  const said = [...(await session.receiveUntilPong()), ...(await session.receiveUntilPong())];
  return said.map(({ kind }) => kind).filter((kind) => kind !== Kind.settings);
}

test("a drain follows the messages that wait for credit", async () => {
  const scripted = await startScripted();
  const connection = await scripted.client.connected();
  for (let i = 0; i < 6; i++) connection.sendNoWait(new Uint8Array(LONG));
  const closed = scripted.client.close();
  const first = await kindsOf(scripted);
  assert.equal(first.filter((kind) => kind === Kind.message).length, 5);
  assert.equal(first.includes(Kind.drain), false);
  scripted.say(0, Kind.credit, u32Value(5 * (LONG + COST) - WINDOW + 1));
  assert.deepEqual(await kindsOf(scripted), [Kind.message, Kind.drain]);
  scripted.say(0, Kind.drain);
  assert.equal((await scripted.session.receive()).kind, Kind.close);
  scripted.say(0, Kind.close);
  await scripted.session.peer.ended();
  await scripted.session.peer.destroy();
  await closed;
  await scripted.leave();
});

test("a close waits for the peer's drain, and then for this side's requests", async () => {
  const scripted = await startScripted();
  const connection = await scripted.client.connected();
  const answer = connection.request(text("the last one"));
  const { sequence } = await scripted.session.receive();
  const closed = scripted.client.close();
  assert.deepEqual(await kindsOf(scripted), [Kind.drain]);
  scripted.say(0, Kind.drain);
  assert.deepEqual(await kindsOf(scripted), []);
  scripted.say(sequence, Kind.reply, text("answered"));
  assert.deepEqual(await answer, text("answered"));
  assert.equal((await scripted.session.receive()).kind, Kind.close);
  scripted.say(0, Kind.close);
  await scripted.session.peer.ended();
  await scripted.session.peer.destroy();
  await closed;
  await scripted.leave();
});

test("without requests a close waits for the peer's drain alone", async () => {
  const scripted = await startScripted();
  await scripted.client.connected();
  const closed = scripted.client.close();
  assert.deepEqual(await kindsOf(scripted), [Kind.drain]);
  assert.deepEqual(await kindsOf(scripted), []);
  scripted.say(0, Kind.drain);
  assert.equal((await scripted.session.receive()).kind, Kind.close);
  scripted.say(0, Kind.close);
  await scripted.session.peer.ended();
  await scripted.session.peer.destroy();
  await closed;
  await scripted.leave();
});

test("a close waits for handlers, and answers the drain of the peer meanwhile", async () => {
  const gate = deferred();
  const attack = await attackedServer({
    onMessage: async (message: Message) => {
      await gate.promise;
      message.reply(EMPTY);
    },
  });
  attack.say(1, Kind.message, text("waits"));
  attack.say(0, Kind.drain);
  assert.deepEqual(
    (await attack.saidUntilPong()).map(({ kind }) => kind),
    [Kind.drain],
  );
  gate.resolve();
  assert.equal((await attack.session.receive()).kind, Kind.reply);
  assert.equal((await attack.session.receive()).kind, Kind.close);
  attack.say(0, Kind.close);
  attack.session.peer.socket.end();
  await attack.session.peer.ended();
  await attack.leave();
});

test("a handler that throws: its items that wait for credit are dropped, and who wrote them is told", async () => {
  const outcomes: string[] = [];
  const attack = await attackedServer({
    onMessage: async (message: Message) => {
      message.write(text("an item")).then(
        () => outcomes.push("written"),
        (error: SealwireError) => outcomes.push(error.code),
      );
      throw new Error("no");
    },
  });
  const head = encodeFields(new Map([[6, u32Value(0)]]));
  attack.say(1, Kind.call, concat(Uint8Array.of(0, head.length), head));
  const kinds = async (): Promise<number[]> =>
    (await attack.saidUntilPong()).filter(({ sequence }) => sequence === 1).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), [Kind.blocked, Kind.error]);
  attack.say(1, Kind.credit, u32Value(1_000));
  assert.deepEqual(await kinds(), []);
  assert.deepEqual(outcomes, ["ERR_ALREADY_ANSWERED"]);
  await attack.leave();
});
