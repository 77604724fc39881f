// Pieces of sealed frames: how frames share them, whose memory they have, and when that is used again.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { freePiece, MAX_PIECE_BYTES, SPARE_PIECES, takePiece } from "../../../src/core/pieceMemory.ts";
import { PIECE_BYTES, PieceWriter } from "../../../src/core/pieceWriter.ts";
import { test } from "../../support/harness.ts";
import { u32 } from "../../support/rawPeer.ts";

/** Lengths of sealed frames without prefix, around the one that shares pieces, one piece and two. */
const LENGTHS = [20, 1_000, PIECE_BYTES / 2, PIECE_BYTES, 65_557, 2 * PIECE_BYTES].flatMap((length) =>
  [-6, -5, -4, -3, 0, 1].map((from) => length + from),
);

function frame(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i * 7);
}

/** A frame as the ciphers pass it: in parts of arbitrary lengths, some with memory of their own. */
function write(writer: PieceWriter, bytes: Uint8Array, partBytes: number): void {
  writer.begin(bytes.length);
  for (let at = 0, n = 0; at < bytes.length; at += partBytes, n++) {
    const owned = n % 2 === 0;
    const end = Math.min(at + partBytes, bytes.length);
    const part = owned ? bytes.slice(at, end) : bytes.subarray(at, end);
    writer.append(part, owned);
  }
}

/** What a writer gave out. */
class Taken {
  readonly pieces: Uint8Array[] = [];
  readonly writer = new PieceWriter((piece) => this.pieces.push(piece));
  readonly #waits: boolean;

  constructor(waits = true) {
    this.#waits = waits;
  }

  rest(): void {
    const rest = this.writer.rest(this.#waits);
    if (rest !== undefined) this.pieces.push(rest);
    assert.equal(this.writer.rest(this.#waits), undefined);
  }
}

test("frames follow each other without a gap, whatever their lengths and however they come", () => {
  for (const partBytes of [1_000, 40_000, PIECE_BYTES, 100_000]) {
    for (const restAfter of [1, 2, 5, LENGTHS.length]) {
      const taken = new Taken(restAfter % 2 === 0);
      const expected: Uint8Array[] = [];
      for (const [n, length] of LENGTHS.entries()) {
        const bytes = frame(length, n);
        expected.push(u32(length), bytes);
        write(taken.writer, bytes, partBytes);
        if (n % restAfter === 0) taken.rest();
      }
      taken.rest();
      assert.ok(Buffer.concat(taken.pieces).equals(Buffer.concat(expected)));
      for (const piece of taken.pieces) assert.ok(piece.length > 0 && piece.length <= PIECE_BYTES);
    }
  }
});

test("long frames fill pieces together; the last bytes are given when they are asked for, and not before", () => {
  const taken = new Taken();
  for (let i = 0; i < 10; i++) write(taken.writer, frame(65_557, i), 60_000);
  const bytes = 10 * (65_557 + 4);
  assert.deepEqual(
    taken.pieces.map(({ length }) => length),
    new Array(Math.floor(bytes / PIECE_BYTES)).fill(PIECE_BYTES),
  );
  taken.rest();
  assert.equal(taken.pieces.at(-1)!.length, bytes % PIECE_BYTES);
});

test("short frames that begin a piece have memory of their length, and so have short ends that wait", () => {
  const taken = new Taken();
  write(taken.writer, frame(500, 1), 500);
  assert.deepEqual(
    taken.pieces.map(({ buffer }) => buffer.byteLength),
    [504],
  );
  write(taken.writer, frame(65_557, 1), 65_557);
  taken.rest();
  assert.equal(taken.pieces.at(-1)!.buffer.byteLength, 65_561 - PIECE_BYTES);
  for (const length of [PIECE_BYTES / 2, 40_000, 50_000, 60_000, PIECE_BYTES - 5]) {
    write(taken.writer, frame(length, 1), length);
    taken.rest();
    const last = taken.pieces.at(-1)!;
    assert.equal(last.length, length + 4);
    assert.ok(
      last.buffer.byteLength <= last.length * 1.2,
      `${last.buffer.byteLength} bytes for ${last.length}`,
    );
  }
});

test("a whole piece with memory of its own is passed on without a copy where it fits", () => {
  const taken = new Taken();
  const whole = frame(PIECE_BYTES, 1);
  taken.writer.begin(3 * PIECE_BYTES - 4);
  taken.writer.append(frame(PIECE_BYTES - 4, 2), false);
  taken.writer.append(whole, true);
  taken.writer.append(whole, false);
  assert.deepEqual(
    taken.pieces.map((piece) => piece.buffer === whole.buffer),
    [false, true, false],
  );
});

test("memory of pieces is used again; freeing a piece twice throws", () => {
  const piece = takePiece(MAX_PIECE_BYTES);
  const { buffer } = piece;
  freePiece(piece);
  assert.throws(() => freePiece(piece), /freed twice/);
  const next = takePiece(PIECE_BYTES);
  assert.deepEqual([next.buffer === buffer, next.length], [true, PIECE_BYTES]);
  const other = takePiece(PIECE_BYTES);
  assert.notEqual(other.buffer, buffer);
  freePiece(next);
  freePiece(other);
  // Memory of another length is not taken for a piece's.
  const foreign = new Uint8Array(100);
  freePiece(foreign);
  freePiece(foreign);
});

test("so many buffers are kept and no more", () => {
  const pieces = Array.from({ length: SPARE_PIECES + 3 }, () => takePiece(MAX_PIECE_BYTES));
  const buffers = new Set(pieces.map(({ buffer }) => buffer));
  for (const piece of pieces) freePiece(piece);
  const again = Array.from({ length: SPARE_PIECES + 3 }, () => takePiece(MAX_PIECE_BYTES));
  assert.equal(again.filter(({ buffer }) => buffers.has(buffer)).length, SPARE_PIECES);
  for (const piece of again) freePiece(piece);
});
