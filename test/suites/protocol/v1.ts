// Protocol v1 against sessions recorded from the Go library: handshake bytes, keys and frames, both directions.

import assert from "node:assert/strict";
import { acquireSlot, releaseSlot, slotsInUse } from "../../../src/core/slotPool.ts";
import { memory } from "../../../src/core/wasmModule.ts";
import { x25519PublicKey } from "../../../src/core/x25519.ts";
import type { Handshake, HandshakeResult } from "../../../src/protocol/handshake.ts";
import { Session } from "../../../src/protocol/session.ts";
import { monteV1, v1HandshakeForTests } from "../../../src/protocol/v1.ts";
import { LENGTH_BYTES, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { sealWhole } from "../../support/sealWhole.ts";
import { fromHex, readVectors, toHex } from "../../support/vectors.ts";

interface RecordedFrame {
  seq: number;
  payload: string;
  frame: string;
}
interface RecordedSession {
  clientPrivate: string;
  clientPublic: string;
  serverPrivate: string;
  serverPublic: string;
  derivedKey: string;
  clientToServer: RecordedFrame[];
  serverToClient: RecordedFrame[];
}

const { sessions } = readVectors<{ sessions: RecordedSession[] }>("monte-v1-transcripts.json");
const { format } = monteV1();

onAfterEachTest(() => assert.equal(slotsInUse(), 0));

/** Runs one side against the recorded other side; returns what it would write and its result. */
function run(handshake: Handshake, peerPublicKey: Uint8Array): { sent: string; result: HandshakeResult } {
  let sent = "";
  let offered = false;
  while (!handshake.done) {
    const out = handshake.send();
    if (out !== undefined) {
      sent += toHex(out);
    } else {
      assert.equal(handshake.expects, 32);
      assert.equal(offered, false, "v1 reads once");
      offered = true;
      handshake.receive(peerPublicKey);
    }
  }
  assert.equal(handshake.send(), undefined);
  return { sent, result: handshake.finish() };
}

function plaintextOf({ seq, payload }: RecordedFrame): Uint8Array {
  const body = fromHex(payload);
  const plaintext = new Uint8Array(4 + body.length);
  new DataView(plaintext.buffer).setUint32(0, seq);
  plaintext.set(body, 4);
  return plaintext;
}

/** Writes frames (length ‖ plaintext ‖ room for the tag) to linear memory; returns the end. */
function layOut(address: number, frames: RecordedFrame[]): number {
  for (const frame of frames) {
    const plaintext = plaintextOf(frame);
    const view = new DataView(memory.buffer, address, LENGTH_BYTES);
    view.setUint32(0, plaintext.length + TAG_BYTES);
    memory.set(plaintext, address + LENGTH_BYTES);
    address += LENGTH_BYTES + plaintext.length + TAG_BYTES;
  }
  return address;
}

/** Splits frames into runs that fit one pool slot, so that batches of many sizes are sealed; larger ones alone. */
function runsOf(frames: RecordedFrame[]): RecordedFrame[][] {
  const runs: RecordedFrame[][] = [[]];
  let used = 0;
  for (const frame of frames) {
    const bytes = frame.frame.length / 2;
    if (used + bytes > 65_536) {
      runs.push([]);
      used = 0;
    }
    runs.at(-1)!.push(frame);
    used += bytes;
  }
  return runs;
}

for (const [index, recorded] of sessions.entries()) {
  test(`recorded session ${index}: handshake of both roles`, () => {
    const client = v1HandshakeForTests("client", fromHex(recorded.clientPrivate));
    const server = v1HandshakeForTests("server", fromHex(recorded.serverPrivate));
    const ranClient = run(client, fromHex(recorded.serverPublic));
    const ranServer = run(server, fromHex(recorded.clientPublic));
    assert.equal(ranClient.sent, recorded.clientPublic);
    assert.equal(ranServer.sent, recorded.serverPublic);
    for (const { result } of [ranClient, ranServer]) {
      assert.equal(toHex(result.sendKey), recorded.derivedKey);
      assert.equal(toHex(result.receiveKey), recorded.derivedKey);
      assert.equal(result.identity.authenticated, false);
    }
    for (const handshake of [client, server]) {
      assert.throws(() => handshake.finish(), { code: "ERR_HANDSHAKE" });
      handshake.destroy();
      handshake.destroy();
    }
  });

  for (const direction of ["clientToServer", "serverToClient"] as const) {
    test(`recorded session ${index}: frames ${direction}, sealed in batches and opened`, () => {
      const result = (): HandshakeResult => ({
        sendKey: fromHex(recorded.derivedKey),
        receiveKey: fromHex(recorded.derivedKey),
        identity: {
          protocol: "v1",
          authenticated: false,
          remoteStaticKey: undefined,
          handshakeHash: undefined,
        },
      });
      const sender = new Session(result(), format, "auto");
      const receiver = new Session(result(), format, "auto");
      for (const frames of runsOf(recorded[direction])) {
        const wire = frames.map(({ frame }) => frame).join("");
        if (wire.length / 2 > 65_536) {
          const [frame] = frames;
          const plaintext = plaintextOf(frame!);
          const sealed = sealWhole(sender, plaintext.subarray(0, 4), plaintext.subarray(4));
          assert.equal(toHex(sealed), wire);
          assert.deepEqual(receiver.openLarge([fromHex(wire).subarray(LENGTH_BYTES)]), plaintext);
          continue;
        }
        const slot = acquireSlot();
        const end = layOut(slot, frames);
        const before = memory.slice(slot, end);
        sender.seal(slot, end, frames.length);
        assert.equal(toHex(memory.subarray(slot, end)), wire);
        assert.equal(receiver.open(slot, end, frames.length), frames.length);
        // The tags stay behind the plaintexts: blank them to compare with what was laid out.
        let at = slot;
        for (const frame of frames) {
          at += frame.frame.length / 2;
          memory.fill(0, at - TAG_BYTES, at);
        }
        layOutBlank(before, frames);
        assert.deepEqual(memory.slice(slot, end), before);
        releaseSlot(slot);
      }
      sender.destroy();
      receiver.destroy();
    });
  }
}

/** Blanks the places of the tags in a copy of laid-out frames. */
function layOutBlank(copy: Uint8Array, frames: RecordedFrame[]): void {
  let at = 0;
  for (const frame of frames) {
    at += frame.frame.length / 2;
    copy.fill(0, at - TAG_BYTES, at);
  }
}

test("the transcripts hold what the README says", () => {
  const frames = sessions.flatMap((session) => [...session.clientToServer, ...session.serverToClient]);
  assert.equal(sessions.length, 6);
  assert.equal(frames.length, 178);
  assert.ok(frames.some(({ seq }) => seq === 0xffffffff));
});

test("an all-zero shared secret is refused", () => {
  for (const weak of ["00".repeat(32), `01${"00".repeat(31)}`]) {
    const handshake = v1HandshakeForTests("server", fromHex(sessions[0]!.serverPrivate));
    assert.throws(() => handshake.receive(fromHex(weak)), { code: "ERR_WEAK_PUBLIC_KEY" });
    handshake.destroy();
  }
});

test("options of monteV1 are checked", () => {
  for (const peerMaxFrameBytes of [19, 2 ** 32, 1.5, Number.NaN, "4096" as unknown as number]) {
    assert.throws(() => monteV1({ peerMaxFrameBytes }), {
      code: "ERR_INVALID_ARGUMENT",
      message: /peerMaxFrameBytes/,
    });
  }
  assert.equal(monteV1({ peerMaxFrameBytes: 4_096 }).format.peerMaxFrameBytes, 4_096);
});

test("a destroyed handshake agrees on nothing: a wiped private key would give everybody the same secret", () => {
  for (const role of ["client", "server"] as const) {
    const handshake = v1HandshakeForTests(role, new Uint8Array(32).fill(9));
    handshake.send();
    handshake.destroy();
    assert.equal(handshake.send(), undefined);
    assert.throws(() => handshake.receive(x25519PublicKey(new Uint8Array(32).fill(5))), {
      code: "ERR_CLOSED",
    });
    assert.throws(() => handshake.finish(), { code: "ERR_CLOSED" });
  }
});

test("a handshake takes 32 bytes when it waits for them, and nothing else", () => {
  const client = v1HandshakeForTests("client", new Uint8Array(32).fill(9));
  const key = x25519PublicKey(new Uint8Array(32).fill(5));
  assert.throws(() => client.receive(key), { code: "ERR_HANDSHAKE" });
  client.send();
  for (const wrong of [key.subarray(1), "text", undefined]) {
    assert.throws(() => client.receive(wrong as Uint8Array), { code: "ERR_INVALID_ARGUMENT" });
  }
  client.receive(key);
  assert.throws(() => client.receive(key), { code: "ERR_HANDSHAKE" });
  client.destroy();
});
