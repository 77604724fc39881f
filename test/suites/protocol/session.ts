// Sessions: rekeying at its boundary whatever the batches, refusal of wrong frames, counters.

import assert from "node:assert/strict";
import { PIECE_BYTES } from "../../../src/core/pieceWriter.ts";
import { acquireSlot, releaseSlot, slotsInUse } from "../../../src/core/slotPool.ts";
import { memory } from "../../../src/core/wasmModule.ts";
import type { CipherName, HandshakeResult, TransportFormat } from "../../../src/protocol/handshake.ts";
import { Session } from "../../../src/protocol/session.ts";
import { LENGTH_BYTES, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { nodeSeal } from "../../support/gcmTests.ts";
import { onAfterEachTest, test } from "../../support/harness.ts";
import { piecesOf, sealWhole } from "../../support/sealWhole.ts";
import { isZero } from "../../support/searchedBytes.ts";

onAfterEachTest(() => assert.equal(slotsInUse(), 0));

const identity = {
  protocol: "test",
  authenticated: false,
  remoteStaticKey: undefined,
  handshakeHash: undefined,
};

function formatWith(rekeyAfterFrames: number): TransportFormat {
  return { header: "kind", nonceLayout: "counter-last", rekeyAfterFrames, peerMaxFrameBytes: 0 };
}

const CIPHERS: readonly CipherName[] = ["AESGCM", "ChaChaPoly"];

/** Two ends of one session. */
function pair(rekeyAfterFrames: number, cipher: CipherName): { a: Session; b: Session } {
  const oneWay = crypto.getRandomValues(new Uint8Array(32));
  const otherWay = crypto.getRandomValues(new Uint8Array(32));
  const result = (sendKey: Uint8Array, receiveKey: Uint8Array): HandshakeResult => ({
    sendKey: sendKey.slice(),
    receiveKey: receiveKey.slice(),
    identity,
    cipher,
  });
  const format = formatWith(rekeyAfterFrames);
  return {
    a: new Session(result(oneWay, otherWay), format, "auto"),
    b: new Session(result(otherWay, oneWay), format, "auto"),
  };
}

/** Lays out `count` frames of 8-byte plaintexts that count up from `first`; returns the end. */
function layOut(slot: number, first: number, count: number): number {
  let at = slot;
  for (let i = 0; i < count; i++) {
    const view = new DataView(memory.buffer, at, LENGTH_BYTES + 8);
    view.setUint32(0, 8 + TAG_BYTES);
    view.setUint32(4, first + i);
    view.setUint32(8, 0xabcdef);
    at += LENGTH_BYTES + 8 + TAG_BYTES;
  }
  return at;
}

function firstWord(slot: number, index: number): number {
  return new DataView(memory.buffer).getUint32(slot + index * (LENGTH_BYTES + 8 + TAG_BYTES) + LENGTH_BYTES);
}

for (const cipher of CIPHERS) {
  test(`${cipher}: rekeying happens at the same frame on both ends, however frames are batched`, () => {
    for (const rekeyAfter of [1, 2, 3, 5, 64]) {
      const { a, b } = pair(rekeyAfter, cipher);
      const slot = acquireSlot();
      let sealedFrames = 0;
      for (const batch of [1, 1, 2, 3, 7, 64, 1, 130, 5, 200]) {
        const end = layOut(slot, sealedFrames, batch);
        a.seal(slot, end, batch);
        // The receiver sees the same bytes in two reads.
        const half = batch >> 1;
        const middle = slot + half * (LENGTH_BYTES + 8 + TAG_BYTES);
        if (half > 0) assert.equal(b.open(slot, middle, half), half);
        assert.equal(b.open(middle, end, batch - half), batch - half);
        for (let i = 0; i < batch; i++) assert.equal(firstWord(slot, i), sealedFrames + i);
        sealedFrames += batch;
      }
      releaseSlot(slot);
      a.destroy();
      b.destroy();
    }
  });
}

for (const cipher of CIPHERS) {
  test(`${cipher}: large frames count for rekeying`, () => {
    const { a, b } = pair(3, cipher);
    for (let i = 0; i < 10; i++) {
      const body = crypto.getRandomValues(new Uint8Array(40_000 + i));
      const header = Uint8Array.of(0, 0, 0, i, 0);
      const frame = sealWhole(a, header, body);
      const opened = b.openLarge([frame.slice(LENGTH_BYTES)]);
      assert.ok(opened !== null);
      assert.deepEqual(opened.subarray(0, 5), header);
      assert.deepEqual(opened.subarray(5), body);
    }
    a.destroy();
    b.destroy();
  });
}

test("sessions that rekey at different frames do not understand each other after the first boundary", () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const result = (): HandshakeResult => ({ sendKey: key.slice(), receiveKey: key.slice(), identity });
  const a = new Session(result(), formatWith(4), "auto");
  const b = new Session(result(), formatWith(0), "auto");
  const slot = acquireSlot();
  const end = layOut(slot, 0, 10);
  a.seal(slot, end, 10);
  assert.equal(b.open(slot, end, 10), 4);
  releaseSlot(slot, 65_536);
  a.destroy();
  b.destroy();
});

for (const cipher of CIPHERS) {
  test(`${cipher}: a frame that was changed, repeated, skipped or reflected does not open; those before it do`, () => {
    const frameBytes = LENGTH_BYTES + 8 + TAG_BYTES;
    const slot = acquireSlot();
    const attacks: Record<string, (start: number) => void> = {
      changed: (start) => {
        memory[start + 2 * frameBytes + LENGTH_BYTES]! ^= 1;
      },
      "tag changed": (start) => {
        memory[start + 3 * frameBytes - 1]! ^= 0x80;
      },
      repeated: (start) =>
        memory.copyWithin(start + 2 * frameBytes, start + frameBytes, start + 2 * frameBytes),
      skipped: (start) =>
        memory.copyWithin(start + 2 * frameBytes, start + 3 * frameBytes, start + 5 * frameBytes),
    };
    for (const [name, attack] of Object.entries(attacks)) {
      const { a, b } = pair(0, cipher);
      const end = layOut(slot, 0, 5);
      a.seal(slot, end, 5);
      attack(slot);
      const third = memory.slice(slot + 2 * frameBytes, slot + 3 * frameBytes);
      assert.equal(b.open(slot, end, 5), 2, name);
      assert.deepEqual(
        memory.slice(slot + 2 * frameBytes, slot + 3 * frameBytes),
        third,
        "nothing was written",
      );
      a.destroy();
      b.destroy();
    }
    const { a, b } = pair(0, cipher);
    const end = layOut(slot, 0, 1);
    a.seal(slot, end, 1);
    assert.equal(a.open(slot, end, 1), 0, "reflected");
    releaseSlot(slot, 65_536);
    a.destroy();
    b.destroy();
  });
}

test("the keys given to a session are wiped where they came from", () => {
  const sendKey = crypto.getRandomValues(new Uint8Array(32));
  const receiveKey = crypto.getRandomValues(new Uint8Array(32));
  const session = new Session({ sendKey, receiveKey, identity }, formatWith(0), "wasm");
  assert.ok([...sendKey, ...receiveKey].every((byte) => byte === 0));
  session.destroy();
  session.destroy();
});

/** Bodies whose frames (9 bytes before, 16 behind) end around one, two and many pieces, and others. */
const LARGE_LENGTHS = [
  ...[0, 1, 65_536, 300_001],
  ...[1, 2].flatMap((pieces) =>
    [-26, -25, -24, -10, -9, -8, -5, 0].map((from) => pieces * PIECE_BYTES + from),
  ),
];

test("a large frame in pieces is the frame of node:crypto, and opens from chunks of any lengths, also into lent memory", () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const result = (): HandshakeResult => ({ sendKey: key.slice(), receiveKey: key.slice(), identity });
  for (const engine of ["wasm", "keystream", "native", "auto"] as const) {
    const lent = new Uint8Array(400_000);
    const inPieces = new Session(result(), formatWith(0), engine);
    const receiver = new Session(result(), formatWith(0), engine);
    for (const [n, length] of LARGE_LENGTHS.entries()) {
      const body = new Uint8Array(length);
      for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
      const header = Uint8Array.of(0, 0, 0, 7, 0);
      const nonce = new Uint8Array(12);
      nonce[11] = n;
      const sealed = nodeSeal(key, nonce, Buffer.concat([header, body]));
      const frame = new Uint8Array(LENGTH_BYTES + sealed.length);
      new DataView(frame.buffer).setUint32(0, sealed.length);
      frame.set(sealed, LENGTH_BYTES);
      const pieces = piecesOf(inPieces, header, body);
      assert.ok(pieces.slice(0, -1).every((piece) => piece.length === PIECE_BYTES));
      assert.ok(Buffer.concat(pieces).equals(frame), `${engine}, ${length} bytes`);
      for (const chunkBytes of [PIECE_BYTES, PIECE_BYTES + 1, 65_536, 40_000, 17]) {
        if (chunkBytes === 17 && length > 70_000) continue;
        const chunks: Uint8Array[] = [];
        for (let at = LENGTH_BYTES; at < frame.length; at += chunkBytes) {
          chunks.push(frame.slice(at, at + chunkBytes));
        }
        const damaged = chunks.map((chunk) => chunk.slice());
        damaged.at(-1)![0]! ^= 1;
        lent.fill(0);
        assert.equal(receiver.openLarge(damaged, lent), null);
        assert.ok(isZero(lent), "no plaintext of a frame that does not authenticate");
        if (chunkBytes !== PIECE_BYTES) continue;
        const into = n % 2 === 0 ? lent : undefined;
        const opened = receiver.openLarge(chunks, into);
        assert.ok(opened !== null && Buffer.from(opened.subarray(5)).equals(body));
        assert.equal(opened.buffer === lent.buffer, into !== undefined);
      }
    }
    for (const session of [inPieces, receiver]) session.destroy();
  }
});

test("an engine that ChaChaPoly does not have is its automatic choice; all engines speak the same", () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const result = (): HandshakeResult => ({
    sendKey: key.slice(),
    receiveKey: key.slice(),
    identity,
    cipher: "ChaChaPoly",
  });
  const slot = acquireSlot();
  const reference = new Session(result(), formatWith(0), "wasm");
  const end = layOut(slot, 7, 3);
  reference.seal(slot, end, 3);
  const sealed = memory.slice(slot, end);
  // ChaCha20-Poly1305, not AES-256-GCM, and with Noise's nonce whatever the layout of the format is.
  assert.notDeepEqual(
    sealed.subarray(4, 28),
    nodeSeal(key, new Uint8Array(12), Uint8Array.of(0, 0, 0, 7, 0, 171, 205, 239)),
  );
  for (const engine of ["keystream", "native", "auto", "wasm"] as const) {
    for (const nonceLayout of ["counter-first", "counter-last"] as const) {
      const session = new Session(result(), { ...formatWith(0), nonceLayout }, engine);
      memory.set(sealed, slot);
      assert.equal(session.open(slot, end, 3), 3, engine);
      assert.equal(firstWord(slot, 2), 9);
      session.destroy();
    }
  }
  reference.destroy();
  releaseSlot(slot, 65_536);
});
