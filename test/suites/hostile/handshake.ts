// Wrong bytes of a peer before the handshake is done, at either end.

import assert from "node:assert/strict";
import {
  type CommonOptions,
  type SealwireError,
  SealwireError as SealwireErrorClass,
} from "../../../src/index.ts";
import { noise } from "../../../src/noise.ts";
import { runsEvery, sharedStep } from "../../support/every.ts";
import { test } from "../../support/harness.ts";
import { protocols, v1, v2 } from "../../support/protocols.ts";
import { concat, RawListener, type RawPeer, u32 } from "../../support/rawPeer.ts";
import { checkLeaksAfterEachTest, rejectsWith, startClient, text } from "../../support/rpcHarness.ts";
import { fromHex } from "../../support/vectors.ts";
import { Victim } from "../../support/victim.ts";

checkLeaksAfterEachTest();

/** u-coordinates whose multiples by any clamped scalar are zero (small order), non-canonical forms included. */
const lowOrderPoints = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
].map(fromHex);

/** A small generator, so that garbage is the same in every run. */
function garbage(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    bytes[i] = state;
  }
  return bytes;
}

const classicalV2 = { ...v2, options: { ...v2.options, postQuantum: false } };

/** The honest first message of a v2 client. */
function firstMessage({ psk, ...form }: CommonOptions = v2.options): Uint8Array {
  const options = { ...form, ...(psk === undefined ? {} : { psk }) };
  const handshake = noise(options, "client").create("client", { remoteAddress: "" });
  const message = handshake.send()!.slice();
  handshake.destroy();
  return message;
}

for (const protocol of protocols) {
  const { name } = protocol;
  /** A first message that the server answers; in protocol v1 any 32 bytes are one. */
  const begin = () => (protocol.withKinds ? firstMessage() : garbage(1, 32));

  test(`${name}: a client that leaves after every possible part of its first message`, async () => {
    const victim = await Victim.start(protocol);
    const whole = begin();
    // Every length about the prefix and the first key and at the end; between, one in sixteen unless all are asked for.
    const isTried = (at: number) => runsEvery || at < 70 || at > whole.length - 20 || at % 16 === 0;
    for (let length = 0; length < whole.length; length++) {
      if (!isTried(length)) continue;
      const peer = await victim.connect();
      if (length > 0) peer.write(whole.subarray(0, length));
      peer.socket.end();
      await victim.expectDropped(peer, `after ${length} bytes`);
    }
  });

  test(`${name}: a client that resets the connection during the handshake`, async () => {
    const victim = await Victim.start(protocol);
    // Ten bytes are enough to see that they don't begin a message of v2, and too few for one of v1.
    const stranger = await victim.connect();
    stranger.write(garbage(2, 10));
    if (protocol.withKinds) await victim.expectClosed(stranger, "ERR_HANDSHAKE", "no message of v2");
    else {
      await stranger.destroy();
      await victim.expectDropped(stranger, "a third of a key");
    }
    const early = await victim.connect();
    early.write(begin().subarray(0, 10));
    await early.destroy();
    await victim.expectDropped(early, "reset within the first message");
    const answered = await victim.connect();
    answered.write(begin());
    await answered.read(1);
    await answered.destroy();
    const reason = await victim.closed(answered);
    // In protocol v1 the answer ends the handshake, and the end of the stream is a good end.
    assert.equal(reason?.code, protocol.withKinds ? "ERR_HANDSHAKE" : undefined);
    await victim.checkServing();
  });

  test(`${name}: garbage, and protocols of others`, async () => {
    const victim = await Victim.start(protocol, { handshakeTimeoutMs: 4_000 });
    const noises = [
      text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      text("SSH-2.0-OpenSSH_9.6\r\n"),
      fromHex("16030100f8010000f40303"),
      new Uint8Array(300_000),
      new Uint8Array(300_000).fill(0xff),
      ...Array.from({ length: 30 }, (_, seed) => garbage(seed + 3, 1 + ((seed * 37) % 200))),
    ];
    for (const [index, bytes] of noises.entries()) {
      const peer = await victim.connect();
      peer.write(bytes);
      if (bytes.length < (protocol.withKinds ? 4 : 32)) {
        peer.socket.end();
        await victim.expectDropped(peer, `noise ${index}`);
        continue;
      }
      // Version 1 answers any key. Who ends before the answer may still wait for a turn, and then was no connection.
      if (!protocol.withKinds) {
        await peer.answered();
        peer.socket.end();
      }
      // What is too long to wait with ends as a flood does.
      const reason =
        bytes.length < 4_096 ? await victim.closed(peer) : await victim.gone(peer, `noise ${index}`);
      if (reason === "dropped") continue;
      // In protocol v1 any 32 bytes are a public key: what follows is a frame that does not open.
      assert.ok(reason instanceof SealwireErrorClass, `noise ${index} ended in good order`);
      const expected = /^ERR_(HANDSHAKE|FRAME_TOO_LARGE|FRAME_TOO_SHORT|DECRYPT|CONNECTION_LOST)/;
      assert.match(reason.code, expected, `noise ${index}`);
      assert.deepEqual(victim.takeHandled(), []);
    }
    await victim.checkServing();
  });

  test(`${name}: a server that answers garbage, nothing, or half of its message`, async () => {
    const answers: { what: string; answer: (peer: RawPeer) => void }[] = [
      { what: "ends at once", answer: (peer) => peer.socket.end() },
      { what: "resets", answer: (peer) => peer.socket.destroy() },
      {
        what: "half a message",
        answer: (peer) => {
          peer.write(garbage(5, 20));
          peer.socket.end();
        },
      },
      { what: "zeros", answer: (peer) => peer.write(new Uint8Array(100)) },
      { what: "ones", answer: (peer) => peer.write(new Uint8Array(100).fill(0xff)) },
      ...(protocol.withKinds
        ? [
            {
              what: "a random message",
              answer: (peer: RawPeer) => peer.write(concat(u32(48), garbage(6, 48))),
            },
          ]
        : []),
    ];
    for (const { what, answer } of answers) {
      const listener = await RawListener.listen();
      const client = startClient({ ...protocol.options, port: listener.port });
      const outcome = client.request(text("x")).then(
        () => assert.fail(`${what}: answered`),
        (error: SealwireError) => error,
      );
      answer(await listener.accept());
      const error = await outcome;
      assert.ok(error instanceof SealwireErrorClass, what);
      // 0xff… is a valid v1 key; then the frame header that follows is too large.
      assert.match(error.code, /^ERR_(HANDSHAKE|CONNECTION_LOST)$/, what);
      await client.close();
      await listener.close();
    }
  });

  test(`${name}: a peer that floods before the handshake is done is cut off`, async () => {
    const victim = await Victim.start(protocol, { handshakeTimeoutMs: 10_000 });
    const flood = new Uint8Array(4 * 1_048_576).fill(0xff);
    // A valid beginning, and after its answer far more than any handshake needs.
    const peer = await victim.connect();
    peer.write(begin());
    await peer.read(1);
    peer.write(flood);
    const reason = await victim.closed(peer);
    assert.match(reason!.code, /^ERR_(HANDSHAKE|FRAME_TOO_LARGE|DECRYPT)$/);
    await victim.checkServing();
    // All of it at once: on a busy server it waits for its turn when the flood is noticed.
    const hasty = await victim.connect();
    hasty.write(concat(begin(), flood));
    const outcome = await victim.gone(hasty, "flood");
    if (outcome !== "dropped") assert.match(outcome!.code, /^ERR_(HANDSHAKE|FRAME_TOO_LARGE|DECRYPT)$/);
    await victim.checkServing();
  });
}

test("v1: low-order public keys of clients are refused", async () => {
  const victim = await Victim.start(v1);
  for (const point of lowOrderPoints) {
    const peer = await victim.connect();
    peer.write(point);
    const reason = await victim.expectClosed(peer, "ERR_HANDSHAKE", "low-order point");
    assert.equal((reason.cause as SealwireError).code, "ERR_WEAK_PUBLIC_KEY");
  }
});

test("v1: low-order public keys of servers are refused", async () => {
  for (const point of lowOrderPoints) {
    const listener = await RawListener.listen();
    const client = startClient({ ...v1.options, port: listener.port });
    const request = rejectsWith(client.request(text("x")), "ERR_HANDSHAKE");
    (await listener.accept()).write(point);
    assert.equal(((await request).cause as SealwireError).code, "ERR_WEAK_PUBLIC_KEY");
    await client.close();
    await listener.close();
  }
});

test("v2: low-order ephemeral keys are refused by an anonymous server", async () => {
  const victim = await Victim.start({ ...v2, options: {} }, { postQuantum: "accept" });
  const honest = firstMessage({});
  for (const point of lowOrderPoints) {
    const hybrid = honest.slice();
    hybrid.set(point, 4);
    for (const message of [concat(u32(point.length), point), hybrid]) {
      const peer = await victim.connect();
      peer.write(message);
      await victim.expectClosed(peer, "ERR_HANDSHAKE", "low-order point");
    }
  }
});

test("v2: encapsulation keys that fail the modulus check are refused by an anonymous server", async () => {
  const victim = await Victim.start({ ...v2, options: {} });
  const honest = firstMessage({});
  const keyAt = 4 + 32;
  for (const at of [0, 3, 600, 1_149]) {
    const bad = honest.slice();
    bad.fill(0xff, keyAt + at, keyAt + at + 3);
    const peer = await victim.connect();
    peer.write(bad);
    const reason = await victim.expectClosed(peer, "ERR_HANDSHAKE", `key at ${at}`);
    assert.equal((reason.cause as SealwireError).code, "ERR_WEAK_PUBLIC_KEY");
  }
  // The last 32 bytes are rho: anything is allowed there, and the server answers.
  const peer = await victim.connect();
  const other = honest.slice();
  other.fill(0xff, other.length - 32);
  peer.write(other);
  assert.equal((await peer.read(4 + 1_152)).length, 1_156);
  await peer.destroy();
});

test("v2: a handshake message of the wrong length is refused by its prefix", async () => {
  const victim = await Victim.start(v2, { handshakeTimeoutMs: 10_000 });
  const length = new DataView(firstMessage().buffer).getUint32(0);
  assert.equal(length, 0x10000 + 1_248);
  const suites = [1_248, 48, 0x20000 + 1_248, 0x30000 + 1_248, 0x80010000 + 1_248];
  for (const announced of [
    0,
    1,
    31,
    length - 1,
    length + 1,
    65_535,
    65_536,
    ...suites,
    0x7fffffff,
    0xffffffff,
  ]) {
    const peer = await victim.connect();
    peer.write(u32(announced));
    await victim.expectClosed(peer, "ERR_HANDSHAKE", `${announced} announced, ${length} expected`);
  }
});

test("v2: every flipped bit of the first message is noticed", async () => {
  for (const protocol of [classicalV2, v2]) {
    const victim = await Victim.start(protocol, { handshakeTimeoutMs: 10_000 });
    const message = firstMessage(protocol.options);
    // Of the long hybrid message one bit in nine, which is each bit of some byte; one in three of these in the gate.
    const step = (protocol === v2 ? 9 : 1) * sharedStep(runsEvery ? 1 : 3);
    for (let bit = 32; bit < message.length * 8; bit += step) {
      const forged = message.slice();
      forged[bit >>> 3]! ^= 1 << (bit & 7);
      const peer = await victim.connect();
      peer.write(forged);
      await victim.expectClosed(peer, "ERR_HANDSHAKE", `bit ${bit}`);
    }
  }
});
