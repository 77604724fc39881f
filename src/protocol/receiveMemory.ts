// The memory of received bytes while one read is handled:
//
//   RECEIVE_BUFFER  sealed frames as the socket delivered them, opened in place
//   JOIN            one frame that was collected in JavaScript memory, opened in place
//   lent memory     plaintext that handlers see as views; JavaScript memory, so that no key lies beside it
//
// All connections share it, so it has one owner at a time: the connection whose read is being handled. No code that
// runs meanwhile may handle another read; `enterRead` checks that.

import { copyInto } from "../core/copy.ts";
import { JOIN, memory, RECEIVE_BUFFER } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";

/** A read is being handled. */
export let isReading = false;
let wipeOnLeave = false;

/** The number of bytes of each region that were written since it was last wiped. */
let bufferUsed = 0;
let joinUsed = 0;

/**
 * The handling of a read begins.
 *
 * @throws Error if another read is being handled: a bug in this package, which must not pass one connection's bytes
 *   to another's handler
 */
export function enterRead(): void {
  if (isReading) throw new Error("a read is handled inside another read");
  isReading = true;
}

/** The handling of a read ends. */
export function leaveRead(): void {
  isReading = false;
  if (wipeOnLeave) wipeReceiveMemory();
  if (lent.length > MAX_REUSED_LENT_BYTES) {
    wipeLent();
    lent = new Uint8Array(0);
  }
}

/** The socket wrote `length` bytes to the receive buffer. */
export function receiveBufferFilled(length: number): void {
  if (length > bufferUsed) bufferUsed = length;
}

/** Copies sealed frames to the receive buffer; returns their address. */
export function copyToBuffer(bytes: Uint8Array): number {
  copyInto(memory, RECEIVE_BUFFER, bytes);
  receiveBufferFilled(bytes.length);
  return RECEIVE_BUFFER;
}

/** Copies a collected frame to the join region; returns its address. */
export function copyToJoin(bytes: Uint8Array): number {
  copyInto(memory, JOIN, bytes);
  if (bytes.length > joinUsed) joinUsed = bytes.length;
  return JOIN;
}

/** Lent memory up to this size is reused for the next message; larger memory is freed. */
const MAX_REUSED_LENT_BYTES = 4_194_304;
const FIRST_LENT_BYTES = 65_536;

let lent = new Uint8Array(0);
let lentUsed = 0;

/**
 * `bytes` bytes of memory for plaintext that handlers may read until the read has been handled. The same memory is used
 * again and again.
 */
export function lendMemory(bytes: number): Uint8Array {
  // A handler that transferred this memory broke a rule, but only its own messages may suffer.
  if (lent.length < bytes) {
    wipeLent();
    lent = new Uint8Array(Math.max(bytes, FIRST_LENT_BYTES));
  }
  if (bytes > lentUsed) lentUsed = bytes;
  return lent;
}

/**
 * Checks that the records behind the one that was handled are still there. A handler may have transferred their memory,
 * which it was lent, or which it shares with them: Bun transfers memory in spite of its mark.
 *
 * @throws TypeError The records are lost, so the connection can't go on.
 */
export function requireRest(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new TypeError("a handler transferred memory that held further messages");
}

/** Transferred memory has length 0, so nothing happens. */
function wipeLent(): void {
  if (lent.length > 0) wipe(lent.subarray(0, lentUsed));
  lentUsed = 0;
}

/** Zeroes the rest of the plaintext of earlier reads: at once, or when the current read ends. */
export function wipeReceiveMemory(): void {
  wipeOnLeave = isReading;
  if (isReading) return;
  memory.fill(0, RECEIVE_BUFFER, RECEIVE_BUFFER + bufferUsed);
  memory.fill(0, JOIN, JOIN + joinUsed);
  bufferUsed = 0;
  joinUsed = 0;
  wipeLent();
}
