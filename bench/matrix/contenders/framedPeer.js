// One end of a hand-written RPC that the raw TCP and TLS rows share: the framing and batching of sealwire, without
// encryption of its own. A frame is u32be length ‖ u32be sequence ‖ body; `length` counts the bytes that follow it.
// Sequence 0 is a one-way message. Clients number their requests 1, 3, 5, …, and a reply carries the number of its
// request.
//
// Sending: bodies are copied into 64 KB segments. A full segment is sent at once, a partial one at the end of the turn
// or of the read batch. While a write is pending, only full segments are queued; when it completes, everything is sent
// (group commit). Receiving: frames are parsed where they arrived; only a partial frame is copied.

const SEGMENT_BYTES = 65_536;
const HIGH_WATER_BYTES = 1 << 20;
const HEADER_BYTES = 8;
const FIRST_PARTIAL_BYTES = 4_096;

// Shared by all connections of a process: an idle one holds no segment. Empty stands for "none yet".
const freeSegments = [];
const EMPTY = new Uint8Array(0);

function takeSegment() {
  return freeSegments.pop() ?? { bytes: new Uint8Array(SEGMENT_BYTES), used: 0 };
}

export class FramedPeer {
  /**
   * @param {{ write(bytes: Uint8Array, length: number, done: () => void): void, close(): void,
   *   writesInFlight: number, endOfTurn(task: () => void): void }} socket `done` means the memory is free again
   * @param {import("./contender.js").Handlers} [handlers] absent on clients, which only call
   */
  constructor(socket, handlers) {
    this.socket = socket;
    this.handlers = handlers;
    this.filling = undefined;
    this.full = [];
    this.writing = [];
    this.pumping = false;
    this.unsentBytes = 0;
    this.appended = 0;
    this.sent = 0;
    this.turn = undefined;
    this.waiting = [];
    this.flushScheduled = false;
    this.reading = false;
    this.partial = EMPTY;
    this.partialUsed = 0;
    this.nextSequence = 1;
    this.replies = new Map();
    this.flush = this.flush.bind(this);
    this.onWritten = this.onWritten.bind(this);
  }

  request(body) {
    const sequence = this.nextSequence;
    this.nextSequence = sequence > 0xffff_fff0 ? 1 : sequence + 2;
    return new Promise((resolve, reject) => {
      this.replies.set(sequence, { resolve, reject });
      this.append(sequence, body);
    });
  }

  send(body) {
    this.append(0, body);
    if (this.turn === undefined) {
      const turn = { position: 0, promise: undefined, resolve: undefined };
      turn.promise = new Promise((resolve) => {
        turn.resolve = resolve;
      });
      this.turn = turn;
      this.waiting.push(turn);
    }
    this.turn.position = this.appended;
    return this.turn.promise;
  }

  sendNoWait(body) {
    if (this.unsentBytes > HIGH_WATER_BYTES) return false;
    this.append(0, body);
    return true;
  }

  append(sequence, body) {
    let segment = this.filling ?? this.startSegment();
    if (SEGMENT_BYTES - segment.used < HEADER_BYTES) segment = this.nextSegment();
    const { bytes } = segment;
    const at = segment.used;
    const length = body.length + 4;
    bytes[at] = length >>> 24;
    bytes[at + 1] = length >>> 16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    bytes[at + 4] = sequence >>> 24;
    bytes[at + 5] = sequence >>> 16;
    bytes[at + 6] = sequence >>> 8;
    bytes[at + 7] = sequence;
    segment.used += HEADER_BYTES;
    this.unsentBytes += HEADER_BYTES + body.length;
    this.appended += HEADER_BYTES + body.length;
    this.appendBody(body);
    if (!this.flushScheduled && !this.reading) {
      this.flushScheduled = true;
      this.socket.endOfTurn(this.flush);
    }
  }

  appendBody(body) {
    let offset = 0;
    for (;;) {
      const segment = this.filling;
      const room = SEGMENT_BYTES - segment.used;
      if (body.length - offset <= room) {
        segment.bytes.set(offset === 0 ? body : body.subarray(offset), segment.used);
        segment.used += body.length - offset;
        return;
      }
      segment.bytes.set(body.subarray(offset, offset + room), segment.used);
      segment.used += room;
      offset += room;
      this.nextSegment();
    }
  }

  nextSegment() {
    this.full.push(this.filling);
    this.startSegment();
    this.pump();
    return this.filling;
  }

  startSegment() {
    this.filling = takeSegment();
    return this.filling;
  }

  /** The end of a turn or of a read batch. */
  flush() {
    this.flushScheduled = false;
    this.turn = undefined;
    this.pump();
    this.resolveSent();
  }

  pump() {
    if (this.pumping) return;
    this.pumping = true;
    while (this.writing.length < this.socket.writesInFlight) {
      const segment = this.full.length > 0 ? this.full.shift() : this.takePartial();
      if (segment === undefined) break;
      this.writing.push(segment);
      this.socket.write(segment.bytes, segment.used, this.onWritten);
    }
    this.pumping = false;
  }

  takePartial() {
    if (this.filling === undefined || this.filling.used === 0) return undefined;
    if (this.writing.length > 0 || this.flushScheduled) return undefined;
    const segment = this.filling;
    this.filling = undefined;
    return segment;
  }

  onWritten() {
    const segment = this.writing.shift();
    this.unsentBytes -= segment.used;
    this.sent += segment.used;
    segment.used = 0;
    freeSegments.push(segment);
    this.resolveSent();
    this.pump();
  }

  /** Resolves the sends of every finished turn whose bytes the kernel has. */
  resolveSent() {
    const { waiting } = this;
    while (waiting.length > 0 && waiting[0] !== this.turn && waiting[0].position <= this.sent) {
      waiting.shift().resolve();
    }
  }

  /** What the socket read; the memory is the socket's again when this returns. */
  receive(chunk) {
    this.reading = true;
    let offset = this.partialUsed > 0 ? this.finishPartial(chunk) : 0;
    while (chunk.length - offset >= 4) {
      const end = offset + 4 + readLength(chunk, offset);
      if (end > chunk.length) break;
      this.dispatch(chunk, offset + 4, end);
      offset = end;
    }
    if (offset < chunk.length) this.keepPartial(chunk, offset);
    this.reading = false;
    if (this.filling !== undefined) this.flush();
  }

  /** Completes the frame that earlier chunks began. Returns how much of this chunk that took. */
  finishPartial(chunk) {
    let offset = 0;
    while (this.partialUsed < 4 && offset < chunk.length) this.partial[this.partialUsed++] = chunk[offset++];
    if (this.partialUsed < 4) return offset;
    const frameBytes = 4 + readLength(this.partial, 0);
    this.reserve(frameBytes);
    const taken = Math.min(frameBytes - this.partialUsed, chunk.length - offset);
    this.partial.set(chunk.subarray(offset, offset + taken), this.partialUsed);
    this.partialUsed += taken;
    if (this.partialUsed === frameBytes) {
      this.partialUsed = 0;
      this.dispatch(this.partial, 4, frameBytes);
    }
    return offset + taken;
  }

  keepPartial(chunk, offset) {
    this.reserve(chunk.length - offset >= 4 ? 4 + readLength(chunk, offset) : 4);
    this.partial.set(chunk.subarray(offset), 0);
    this.partialUsed = chunk.length - offset;
  }

  reserve(frameBytes) {
    if (frameBytes <= this.partial.length) return;
    const larger = new Uint8Array(Math.max(frameBytes, FIRST_PARTIAL_BYTES));
    larger.set(this.partial.subarray(0, this.partialUsed));
    this.partial = larger;
  }

  dispatch(bytes, start, end) {
    const sequence = readLength(bytes, start);
    const bodyStart = start + 4;
    if (sequence === 0) {
      this.handlers.onMessage(bytes, bodyStart, end);
    } else if (this.handlers === undefined) {
      const reply = this.replies.get(sequence);
      this.replies.delete(sequence);
      reply.resolve(bytes.slice(bodyStart, end));
    } else {
      const answer = this.handlers.onRequest(bytes.subarray(bodyStart, end));
      if (answer instanceof Uint8Array) this.append(sequence, answer);
      else answer.then((body) => this.append(sequence, body));
    }
  }

  /** The socket is gone: nothing that waits will come. */
  lost(error) {
    for (const reply of this.replies.values()) reply.reject(error ?? new Error("connection lost"));
    this.replies.clear();
  }

  close() {
    this.socket.close();
  }
}

function readLength(bytes, at) {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
