// A TCP proxy that imitates a long path: it writes all bytes a fixed number of milliseconds after it read them, in both
// directions.
//
// A real path limits the bytes that a sender may have on their way. The sender keeps unacknowledged bytes, and Linux
// gives a socket at most 4 MiB for them by default (tcp_wmem). A proxy acknowledges at once, so this proxy counts for
// itself: it stops reading while it has read that many bytes for which no acknowledgement could be back.
import net from "node:net";

/** The third number of net.ipv4.tcp_wmem, as Linux has it by default. */
const MAX_IN_FLIGHT_BYTES = 4 << 20;

/** Bytes of one direction, from their arrival to their acknowledgement. */
class DelayedDirection {
  constructor(source, target, oneWayMs) {
    this.source = source;
    this.target = target;
    this.oneWayMs = oneWayMs;
    this.waiting = []; // to be written
    this.unacknowledged = [];
    this.inFlight = 0;
    this.ended = false;
    this.timer = undefined;
    this.tick = this.tick.bind(this);
    source.on("data", (chunk) => this.read(chunk));
    source.on("end", () => {
      this.ended = true;
      this.arm();
    });
    // The source may close before what it said last is due.
    target.on("close", () => clearTimeout(this.timer));
    target.on("drain", this.tick);
  }

  read(chunk) {
    const at = performance.now();
    this.waiting.push({ due: at + this.oneWayMs, chunk });
    this.unacknowledged.push({ due: at + 2 * this.oneWayMs, bytes: chunk.length });
    this.inFlight += chunk.length;
    if (this.inFlight >= MAX_IN_FLIGHT_BYTES) this.source.pause();
    this.arm();
  }

  tick() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const now = performance.now();
    while (this.waiting.length > 0 && this.waiting[0].due <= now && !this.target.writableNeedDrain)
      this.target.write(this.waiting.shift().chunk);
    while (this.unacknowledged.length > 0 && this.unacknowledged[0].due <= now)
      this.inFlight -= this.unacknowledged.shift().bytes;
    if (this.inFlight < MAX_IN_FLIGHT_BYTES && this.source.isPaused()) this.source.resume();
    if (this.ended && this.waiting.length === 0) this.target.end();
    else this.arm();
  }

  /** The next tick: when the oldest bytes are due, or their acknowledgement. */
  arm() {
    if (this.timer !== undefined || this.target.destroyed) return;
    const next = this.waiting[0] ?? this.unacknowledged[0];
    if (next === undefined && !this.ended) return;
    // A target that is full says so itself; meanwhile acknowledgements are looked at now and then.
    const wait = next === undefined ? 0 : next.due - performance.now();
    this.timer = setTimeout(this.tick, Math.max(1, Math.ceil(wait)));
  }
}

/**
 * @param {number} port on 127.0.0.1, where connections go
 * @param {number} oneWayMs
 * @returns {Promise<{ port: number, close(): void }>}
 */
export async function openDelayProxy(port, oneWayMs) {
  const sockets = new Set();
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    new DelayedDirection(near, far, oneWayMs);
    new DelayedDirection(far, near, oneWayMs);
  });
  await new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: server.address().port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
