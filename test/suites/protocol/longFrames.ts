// Frames around the longest ones that one piece takes, from one end to the other: they arrive whole, and a wrong byte
// anywhere ends the connection before anything is handed on.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Engine } from "../../../src/core/engine.ts";
import { MAX_PIECE_BYTES } from "../../../src/core/pieceMemory.ts";
import { slotsInUse } from "../../../src/core/slotPool.ts";
import { BodyMemory, beginSharing } from "../../../src/protocol/bodyMemory.ts";
import { FrameOpener } from "../../../src/protocol/frameOpener.ts";
import { FrameReader } from "../../../src/protocol/frameReader.ts";
import { MAX_SMALL_FRAME_BYTES } from "../../../src/protocol/partialFrame.ts";
import { enterRead, leaveRead } from "../../../src/protocol/receiveMemory.ts";
import type { Session } from "../../../src/protocol/session.ts";
import { KIND_HEADER_BYTES, Kind, TAG_BYTES } from "../../../src/protocol/wire.ts";
import { test } from "../../support/harness.ts";
import { concat } from "../../support/rawPeer.ts";
import { sealWhole } from "../../support/sealWhole.ts";
import { session } from "../../support/transportSessions.ts";

const MAX = 400_000;
const AROUND = KIND_HEADER_BYTES + TAG_BYTES;
const BODY_LENGTHS = [MAX_SMALL_FRAME_BYTES, MAX_PIECE_BYTES, 2 * MAX_PIECE_BYTES].flatMap((frameBytes) =>
  [-1, 0, 1].map((from) => frameBytes - AROUND + from),
);

const HEADER = Uint8Array.of(0, 0, 0, 0, Kind.message);

function bodyOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 31 + (i >> 8));
}

/** Feeds a stream to a new opener; adds the bodies that were handed on to `bodies`. */
function receive(
  peer: Session,
  stream: Uint8Array,
  chunkBytes: number,
  bodyViews: boolean,
  bodies: Uint8Array[],
): void {
  const opener = new FrameOpener(
    peer,
    { withKind: true, role: "server", bodyViews },
    {
      stopped: false,
      proven() {},
      record: (_sequence, _kind, bytes, start, end) =>
        bodies.push(new Uint8Array(bytes.subarray(start, end))),
      bundle: () => assert.fail("no bundle was sent"),
    },
  );
  const reader = new FrameReader(opener, AROUND, MAX);
  try {
    for (let at = 0; at < stream.length; at += chunkBytes) {
      enterRead();
      try {
        beginSharing(new BodyMemory());
        reader.read(stream.subarray(at, at + chunkBytes));
      } finally {
        leaveRead();
      }
    }
  } finally {
    reader.stop();
  }
}

for (const engine of ["auto", "native", "keystream", "wasm"] as Engine[]) {
  for (const bodyViews of [false, true]) {
    test(`${engine}, ${bodyViews ? "views" : "copies"}: bodies of these frames arrive as they were sent`, () => {
      const [sender, receiver] = [session(1, 2, engine), session(2, 1, engine)];
      const stream = concat(...BODY_LENGTHS.map((length) => sealWhole(sender, HEADER, bodyOf(length))));
      const bodies: Uint8Array[] = [];
      receive(receiver, stream, 65_536, bodyViews, bodies);
      assert.deepEqual(
        bodies.map(({ length }) => length),
        BODY_LENGTHS,
      );
      for (const [n, body] of bodies.entries()) assert.ok(Buffer.from(body).equals(bodyOf(BODY_LENGTHS[n]!)));
      sender.destroy();
      receiver.destroy();
      assert.equal(slotsInUse(), 0);
    });

    test(`${engine}, ${bodyViews ? "views" : "copies"}: with a wrong byte nothing is handed on`, () => {
      for (const length of BODY_LENGTHS) {
        for (const place of [4, 4 + AROUND, -1]) {
          const [sender, receiver] = [session(1, 2, engine), session(2, 1, engine)];
          // A first record proves the peer, whose frames may be longer then.
          const first = sealWhole(sender, HEADER, new Uint8Array(1));
          const frame = sealWhole(sender, HEADER, bodyOf(length));
          frame[(frame.length + place) % frame.length]! ^= 1;
          const bodies: Uint8Array[] = [];
          const take = () => receive(receiver, concat(first, frame), 50_000, bodyViews, bodies);
          assert.throws(take, { code: "ERR_DECRYPT" });
          assert.deepEqual(bodies, [new Uint8Array(1)]);
          sender.destroy();
          receiver.destroy();
        }
      }
      assert.equal(slotsInUse(), 0);
    });
  }
}
