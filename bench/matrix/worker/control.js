// The agreement between the two ends of a run, over the contender's own requests. The client announces the number of
// one-way messages that it will send, and gets its answer when the far end has counted them all. One-way rows therefore
// count delivered messages.

const CONTROL_BYTES = 12;
const REPORT_BYTES = 24;
const ORDER_BYTES = 16;
const MARK = 0xff; // the first byte of a control request; payloads start with 0
const RESET = 1;
const RESET_AND_HASH = 2;
const EXPECT = 3;
const TAKE = 4;
const TAKE_AND_HASH = 5;
const GIVE = 6;

function controlRequest(operation, count) {
  const body = new Uint8Array(CONTROL_BYTES);
  body[0] = MARK;
  body[1] = operation;
  new DataView(body.buffer).setFloat64(4, count);
  return body;
}

/** What a call with streams begins with: what its far end shall do. */
function streamOrder(operation, count, size) {
  const body = new Uint8Array(ORDER_BYTES);
  body[0] = MARK;
  body[1] = operation;
  const view = new DataView(body.buffer);
  view.setFloat64(4, count);
  view.setUint32(12, size);
  return body;
}

/** The far end takes items until the stream ends, and reports them; with `hash`, with a checksum of every item. */
export function takeOrder(hash = false) {
  return streamOrder(hash ? TAKE_AND_HASH : TAKE, 0, 0);
}

/** The far end sends `count` items of `size` bytes. */
export function giveOrder(count, size) {
  return streamOrder(GIVE, count, size);
}

/** The bytes that every payload of this size has, at both ends. They begin with 0, which no control request does. */
export function payloadBytes(size) {
  return new Uint8Array(size).map((_, i) => i % 251);
}

/** One stream at the far end. */
class CountedStream {
  constructor(operation, count, size) {
    this.counter = new CountingServer();
    this.counter.hashing = operation === TAKE_AND_HASH;
    this.count = operation === GIVE ? count : 0;
    this.size = size;
  }

  /** What the far end sends. */
  *items() {
    const payload = payloadBytes(this.size);
    for (let i = 0; i < this.count; i++) yield payload;
  }

  /** An item of the caller's. */
  take(item) {
    this.counter.onMessage(item, 0, item.length);
  }

  report() {
    return this.counter.report();
  }
}

/** The far end: counts messages, echoes requests, answers control requests, takes and gives streams. */
export class CountingServer {
  constructor() {
    this.count = 0;
    this.bytes = 0;
    this.hash = 0;
    this.hashing = false;
    this.expected = Number.POSITIVE_INFINITY;
    this.reached = undefined;
    this.onMessage = this.onMessage.bind(this);
    this.onRequest = this.onRequest.bind(this);
    this.openStream = this.openStream.bind(this);
  }

  onMessage(bytes, start, end) {
    this.count += 1;
    this.bytes += end - start;
    if (this.hashing) this.hash = (this.hash + fnv1a(bytes, start, end)) >>> 0;
    if (this.count >= this.expected) this.finish();
  }

  onRequest(body) {
    if (body.length !== CONTROL_BYTES || body[0] !== MARK) return body;
    const operation = body[1];
    const count = new DataView(body.buffer, body.byteOffset).getFloat64(4);
    if (operation === EXPECT) return this.expect(count);
    this.count = 0;
    this.bytes = 0;
    this.hash = 0;
    this.hashing = operation === RESET_AND_HASH;
    return this.report();
  }

  /** The stream that a call with this body opens; undefined for a request. */
  openStream(body) {
    if (body.length !== ORDER_BYTES || body[0] !== MARK) return undefined;
    const view = new DataView(body.buffer, body.byteOffset);
    return new CountedStream(body[1], view.getFloat64(4), view.getUint32(12));
  }

  expect(count) {
    return new Promise((resolve) => {
      this.expected = count;
      this.reached = resolve;
      if (this.count >= count) this.finish();
    });
  }

  finish() {
    this.expected = Number.POSITIVE_INFINITY;
    this.reached(this.report());
  }

  report() {
    const view = new DataView(new ArrayBuffer(REPORT_BYTES));
    view.setFloat64(0, this.count);
    view.setFloat64(8, this.bytes);
    view.setFloat64(16, this.hash);
    return new Uint8Array(view.buffer);
  }
}

/** What the far end counted. */
export function readReport(body) {
  const view = new DataView(body.buffer, body.byteOffset);
  return { count: view.getFloat64(0), bytes: view.getFloat64(8), hash: view.getFloat64(16) };
}

/** Sets the far end's counters to zero; with `hash`, it also sums a checksum of every message. */
export async function resetCounter(connection, hash = false) {
  await connection.request(controlRequest(hash ? RESET_AND_HASH : RESET, 0));
}

/** Resolves with the far end's report when it has counted `count` messages since the last reset. */
export async function whenCounted(connection, count) {
  return readReport(await connection.request(controlRequest(EXPECT, count)));
}

/** FNV-1a over bytes[start, end), 32 bits. A checksum against mistakes, not against attackers. */
export function fnv1a(bytes, start, end) {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0;
}
