// The memory that received bytes pass through while one read is handled:
//
//   RECEIVE_BUFFER  sealed frames as the socket delivered them, opened in place
//   JOIN            one frame that was collected in JavaScript memory, opened in place
//   lent memory     plaintext that handlers see as views; JavaScript memory, so that no key lies beside it
//
// All connections share it, so it has one owner at a time: the connection whose read is being handled. Nothing
// that runs meanwhile may handle another read; `enterRead` makes sure of that.

import { copyInto } from "../core/copy.ts";
import { JOIN, memory, RECEIVE_BUFFER } from "../core/wasmModule.ts";
import { wipe } from "../core/wipe.ts";

let owned = false;
let wipeOnLeave = false;

/** How far each region has been written since it was last wiped. */
let bufferUsed = 0;
let joinUsed = 0;

/**
 * The handling of a read begins.
 *
 * @throws Error when another read is being handled: a bug in this package, which must not become one connection's
 *   bytes in another's handler
 */
export function enterRead(): void {
  if (owned) throw new Error("a read is handled inside another read");
  owned = true;
}

/** The handling of a read ends. */
export function leaveRead(): void {
  owned = false;
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

/** Up to this size the memory that is lent is used again for the next message; more is given back. */
const MAX_REUSED_LENT_BYTES = 4_194_304;
const FIRST_LENT_BYTES = 65_536;

let lent = new Uint8Array(0);
let lentUsed = 0;

/**
 * `bytes` bytes of memory for plaintext that is lent to handlers until the read has been handled: the same memory
 * again and again.
 */
export function lendMemory(bytes: number): Uint8Array {
  // A handler that transferred it to somebody else broke a rule, but only its own messages may suffer.
  if (lent.length < bytes) {
    wipeLent();
    lent = new Uint8Array(Math.max(bytes, FIRST_LENT_BYTES));
  }
  if (bytes > lentUsed) lentUsed = bytes;
  return lent;
}

/** Nothing can be done, or has to be, where it was transferred away: then its length is 0. */
function wipeLent(): void {
  if (lent.length > 0) wipe(lent.subarray(0, lentUsed));
  lentUsed = 0;
}

/** Zeroes whatever plaintext is left of earlier reads: at once, or when the read that is being handled ends. */
export function wipeReceiveMemory(): void {
  wipeOnLeave = owned;
  if (owned) return;
  memory.fill(0, RECEIVE_BUFFER, RECEIVE_BUFFER + bufferUsed);
  memory.fill(0, JOIN, JOIN + joinUsed);
  bufferUsed = 0;
  joinUsed = 0;
  wipeLent();
}
