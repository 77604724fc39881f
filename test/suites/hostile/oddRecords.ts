// Records that are odd and allowed, the server's counters for them, and what it sends, or does not, when it ends a
// connection.

import assert from "node:assert/strict";
import type { Message } from "../../../src/index.ts";
import { SealwireError } from "../../../src/index.ts";
import { controlsFor } from "../../../src/protocol/controls.ts";
import { decodeError, Origin } from "../../../src/protocol/errorBody.ts";
import { encodeFields, u32Value } from "../../../src/protocol/fields.ts";
import { encodeWithHead } from "../../../src/protocol/head.ts";
import { Kind } from "../../../src/protocol/wire.ts";
import { IdleShare } from "../../../src/rpc/idleShare.ts";
import { ATTACKED_WINDOW, attackedServer } from "../../support/attackedServer.ts";
import { test } from "../../support/harness.ts";
import { v2 } from "../../support/protocols.ts";
import { concat, RawPeer } from "../../support/rawPeer.ts";
import { type RawSession, record } from "../../support/rawSession.ts";
import {
  checkLeaksAfterEachTest,
  deferred,
  echo,
  fromText,
  patternBytes,
  startServer,
  text,
  waitFor,
} from "../../support/rpcHarness.ts";

checkLeaksAfterEachTest();

const EMPTY = new Uint8Array(0);
const SHORT_PATH_WINDOW = 4_194_304;
const MOST_WINDOW = 16_777_216;
const MESSAGE_COST = 64;
const LONGEST_CHUNK = 65_515;
const MAX_MS = 0x7fffffff;

/** The credit that the attacked server gives before it answers a ping. */
async function creditUntilPong(attack: Awaited<ReturnType<typeof attackedServer>>): Promise<number> {
  const credits = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.credit);
  return credits.reduce((sum, { body }) => sum + new DataView(body.buffer, body.byteOffset).getUint32(0), 0);
}

test("bytes where a body is empty, numbers that nobody looks at and flags that mean nothing are ignored", async () => {
  const sums: number[] = [];
  const attack = await attackedServer({
    onMessage: async (message: Message) => {
      if (message.head.method === undefined) return message.reply(message.body);
      for await (const item of message) sums.push(item.length);
      message.reply(text("summed"));
    },
  });
  const { session, say, ends } = attack;
  const more = text("more than there is to say");
  say(9, Kind.ping, more);
  const pong = await session.receive();
  assert.deepEqual([pong.kind, pong.sequence], [Kind.pong, 9]);
  say(9, Kind.pong, more);
  say(1, Kind.call, encodeWithHead({ method: "sum", streams: true, streamCredit: 0 }, EMPTY));
  say(1, Kind.blocked, more);
  // Every flag but the first, in the longest chunk that there may be.
  const chunk = new Uint8Array(LONGEST_CHUNK);
  chunk[0] = 0xfe;
  say(1, Kind.chunk, chunk);
  say(1, Kind.end, more);
  say(1, Kind.stop, more);
  const kinds = [await session.receive(), await session.receive()].map(({ kind }) => kind);
  assert.deepEqual(kinds.sort(), [Kind.reply, Kind.end].sort());
  assert.deepEqual(sums, [LONGEST_CHUNK - 1]);
  // Numbers of requests may descend; of a bundle, and of drain and close, they mean nothing.
  for (const number of [0xffffffff, 0x80000001, 5, 3]) {
    session.peer.write(session.seal(77, record(number, Kind.message, text("served")), Kind.bundle));
    const { sequence, body } = await session.receive();
    assert.deepEqual([sequence, fromText(body)], [number, "served"]);
  }
  say(3, Kind.drain);
  assert.equal((await session.receive()).kind, Kind.drain);
  assert.equal((await session.receive()).kind, Kind.close);
  say(5, Kind.close);
  session.peer.socket.end();
  await waitFor(() => ends.length === 1, "the end");
  assert.deepEqual(ends, [undefined]);
  await session.peer.destroy();
  session.destroy();
});

test("stop, credit and blocked of a direction that no head opened, or that has ended, are dropped", async () => {
  const hold = deferred();
  const attack = await attackedServer({ onMessage: () => hold.promise });
  attack.say(1, Kind.call, encodeWithHead({ streams: true }, EMPTY));
  attack.say(3, Kind.call, encodeWithHead({ streamCredit: 100 }, EMPTY));
  attack.say(5, Kind.message, EMPTY);
  for (const number of [1, 3, 5]) {
    attack.say(number, Kind.blocked);
    attack.say(number, Kind.credit, u32Value(9));
    attack.say(number, Kind.stop);
    attack.say(number, Kind.credit, u32Value(9));
    attack.say(number, Kind.stop);
    if (number === 1) attack.say(number, Kind.end);
    attack.say(number, Kind.blocked);
  }
  // Whoever is told to stop says its end, once; who does not stream says nothing.
  const ended = (await attack.saidUntilPong()).filter(({ kind }) => kind === Kind.end);
  assert.deepEqual(
    ended.map(({ sequence }) => sequence),
    [3],
  );
  assert.deepEqual(attack.ends, []);
  hold.resolve();
  await attack.leave();
});

test("a frame that does not authenticate gets no reason, and nothing of it or behind it is handled", async () => {
  const forge = (session: RawSession) => {
    const frame = session.seal(1, text("forged"), Kind.message);
    frame[frame.length - 1]! ^= 1;
    return frame;
  };
  const handled: Uint8Array[] = [];
  const attack = await attackedServer({ onMessage: ({ body }) => void handled.push(body) });
  // Its settings, which came before, and nothing more.
  assert.equal((await attack.session.receiveRecord()).kind, Kind.settings);
  attack.session.peer.write(
    concat(forge(attack.session), attack.session.seal(3, text("behind it"), Kind.message)),
  );
  assert.equal((await attack.session.peer.ended()).length, 0);
  await attack.leave();
  assert.deepEqual([attack.ends, handled], [["ERR_DECRYPT"], []]);
});

test("paid records of a bundle cost what they would cost alone", async () => {
  for (const tooMany of [false, true]) {
    const hold = deferred();
    const attack = await attackedServer({ maxConcurrentHandlers: 2, onMessage: () => hold.promise });
    // Two begin; the others wait, and are paid for.
    for (let i = 0; i < 2; i++) attack.say(0, Kind.message);
    await attack.saidUntilPong();
    const count = ATTACKED_WINDOW / MESSAGE_COST - 2 + (tooMany ? 3 : 0);
    const records = Array.from({ length: count }, () => record(0, Kind.message, EMPTY));
    attack.session.peer.write(attack.session.sealBundle(...records));
    if (tooMany) await attack.expectEnd("two more than there was credit for, and one");
    else {
      await attack.saidUntilPong();
      assert.deepEqual(attack.ends, []);
      await attack.leave();
    }
    hold.resolve();
  }
});

test("the credit that this side's settings raise counts from when they were sent", async () => {
  const raised = ATTACKED_WINDOW + 300_000;
  const hold = deferred();
  const server = await startServer({
    ...v2.options,
    messageCreditBytes: raised,
    maxConcurrentHandlers: 1,
    onMessage: () => hold.promise,
    onConnectionState: () => {},
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  const body = patternBytes(20_000);
  for (let left = raised; left > 0; left -= MESSAGE_COST + body.length)
    session.peer.write(session.seal(0, body, Kind.message));
  session.peer.write(session.seal(7, EMPTY, Kind.ping));
  const { kind, sequence } = await session.receive();
  assert.deepEqual([kind, sequence], [Kind.pong, 7]);
  session.destroy();
  await session.peer.destroy();
  hold.resolve();
});

test("a peer that has more to send gets twice the window each time, up to 4 MiB, while handlers keep up", async () => {
  const attack = await attackedServer({ onMessage: () => {} });
  const windows: number[] = [];
  let window = ATTACKED_WINDOW;
  for (let i = 0; i < 9; i++) {
    attack.say(0, Kind.blocked);
    window += await creditUntilPong(attack);
    windows.push(window);
  }
  const doubled = Array.from({ length: 9 }, (_, i) =>
    Math.min(ATTACKED_WINDOW * 2 ** (i + 1), SHORT_PATH_WINDOW),
  );
  assert.deepEqual(windows, doubled);
  await attack.leave();
});

test("a receiver that waits for its peer most of the time gives more, up to 16 MiB", async () => {
  const attack = await attackedServer({ messageCreditBytes: SHORT_PATH_WINDOW, onMessage: () => {} });
  const { session } = attack;
  const windows = [SHORT_PATH_WINDOW];
  let [window, spent] = [SHORT_PATH_WINDOW, 0];
  for (let i = 0; i < 200; i++) {
    // The pong is the peer's round trip: the receiver has handled everything, and waits.
    spent += MESSAGE_COST;
    // In one write, so that no other wait lies between the two.
    const [message, blocked] = [session.seal(0, EMPTY, Kind.message), session.seal(0, EMPTY, Kind.blocked)];
    session.peer.write(concat(message, blocked));
    window += await creditUntilPong(attack);
    if (window - spent > 1.5 * windows.at(-1)!) windows.push(2 * windows.at(-1)!);
  }
  assert.deepEqual(windows, [SHORT_PATH_WINDOW, 2 * SHORT_PATH_WINDOW, MOST_WINDOW]);
  await attack.leave();
});

test("the share of its time that a receiver waits for a peer without credit", () => {
  const idle = new IdleShare();
  const shares: (number | undefined)[] = [];
  let at = 1_000;
  const run = (times: number, waitsMs: number, worksMs: number): void => {
    for (let i = 0; i < times; i++) {
      assert.equal(idle.waits, false);
      shares.push(idle.ranOut(at));
      at += waitsMs;
      assert.equal(idle.waits, true);
      idle.arrived(at);
      at += worksMs;
    }
  };
  run(33, 3, 1);
  assert.deepEqual(shares.splice(0), [...new Array(32).fill(undefined), 0.75]);
  // One pause of a peer that is fast otherwise is no long path.
  run(31, 0, 1);
  run(1, 10, 1);
  assert.equal(shares.splice(0).at(-1)! < 0.1, true);
  run(32, 0, 1);
  assert.equal(shares.at(-1)! < 0.5, true);
});

test("the longest deadline is 2^31 - 1 ms", async () => {
  const attack = await attackedServer({
    onMessage: (message: Message) => message.reply(text(String(message.remainingMs))),
  });
  for (const [i, deadlineMs] of [0xffffffff, 0x80000000, MAX_MS].entries()) {
    attack.say(2 * i + 1, Kind.call, encodeWithHead({ deadlineMs }, EMPTY));
    const left = Number(fromText((await attack.session.receive()).body));
    assert.ok(left <= MAX_MS && left > MAX_MS - 60_000, `${left} ms of ${deadlineMs}`);
  }
  await attack.leave();
});

test("an application can't say that a request was not begun", async () => {
  const refusal = new SealwireError("ERR_TOO_MANY_REQUESTS", "of another peer", { notBegun: true });
  const attack = await attackedServer({
    onMessage: () => {
      throw refusal;
    },
  });
  attack.say(1, Kind.message, text("begun"));
  const answer = await attack.session.receive();
  assert.deepEqual([answer.kind, answer.body[0]], [Kind.error, Origin.handler]);
  assert.equal(decodeError(answer.body).notBegun, false);
  await attack.leave();
});

test("an error that does not fit loses its data, and keeps its code and text", () => {
  const said: Uint8Array[] = [];
  const controls = controlsFor(
    true,
    { append: (_sequence, _kind, body) => said.push(body.slice()) },
    () => 65_510,
  );
  const [code, words] = ["C".repeat(64), "t".repeat(4_096)];
  controls.error(1, Origin.handler, code, words, new Uint8Array(65_510 - 4 - 64 - 4_096));
  controls.error(1, Origin.handler, code, words, new Uint8Array(65_510 - 4 - 64 - 4_095));
  const [fits, cut] = said.map((body) => decodeError(body));
  assert.deepEqual([fits!.remoteCode, fits!.message, fits!.data?.length], [code, words, 61_346]);
  assert.deepEqual([cut!.remoteCode, cut!.message, cut!.data], [code, words, undefined]);
});

test("what is sent of an error is cut: its code to 64 bytes, its text to 4,096, also where characters have several", () => {
  let said = new Uint8Array(0);
  const controls = controlsFor(
    true,
    {
      append: (_sequence, _kind, body) => {
        said = body.slice();
      },
    },
    () => 65_510,
  );
  controls.error(1, Origin.handler, "C".repeat(100), "é".repeat(4_096), Uint8Array.of(7));
  assert.equal(said[1], 64);
  assert.equal((said[66]! << 8) | said[67]!, 4_096);
  assert.equal(said.length, 2 + 64 + 2 + 4_096 + 1);
  assert.equal(decodeError(said).message, "é".repeat(2_048));
});

test("a reason as long as its frame is taken, and what follows a cancel of it is served", async () => {
  const hold = deferred();
  const attack = await attackedServer({
    onMessage: (message: Message) => (message.head.method === "hold" ? hold.promise : echo(message)),
  });
  attack.say(1, Kind.call, encodeWithHead({ method: "hold" }, EMPTY));
  const reason = encodeFields(new Map([[2, new Uint8Array(0xffff).fill(0xff)]]));
  attack.say(1, Kind.cancel, reason);
  attack.say(3, Kind.message, text("served"));
  assert.equal(fromText((await attack.session.receive()).body), "served");
  hold.resolve();
  const end = await attack.session.receive();
  assert.deepEqual([end.kind, end.sequence], [Kind.error, 1]);
  await attack.leave();
});
