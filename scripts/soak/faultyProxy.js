// A proxy for a soak that splits, delays, stalls, falls silent and resets. It changes no byte.
import { createServer, connect as dial } from "node:net";

/** Of a connection: how long it lives, in milliseconds. */
const LONGEST_LIFE_MS = 8_000;
const SILENCE_MS = 3_000;

class Link {
  #ends;
  #random;
  #isSilent = false;

  constructor(client, server, random, told) {
    this.#ends = [client, server];
    this.#random = random;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.setNoDelay(true);
      from.on("data", (bytes) => void this.#pass(from, to, bytes));
      from.on("end", () => to.end());
      from.on("error", () => this.#cut());
      from.on("close", () => to.end());
    }
    const end = setTimeout(() => this.#fail(told), random(LONGEST_LIFE_MS));
    client.on("close", () => clearTimeout(end));
  }

  async #pass(from, to, bytes) {
    if (this.#isSilent) return;
    const kind = this.#random(100);
    if (kind < 60) return this.#write(from, to, bytes);
    // One of these at a time, so that the order stays.
    from.pause();
    if (kind < 64) await later(this.#random(200));
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + this.#random(bytes.length);
      if (!to.destroyed) to.write(bytes.subarray(at, next));
      at = next;
      await later(0);
    }
    from.resume();
  }

  #write(from, to, bytes) {
    if (to.destroyed || to.write(bytes)) return;
    from.pause();
    to.once("drain", () => from.resume());
  }

  #fail(told) {
    const kind = this.#random(3);
    if (kind === 0) {
      told("silences");
      this.#isSilent = true;
      setTimeout(() => this.#cut(), SILENCE_MS);
    } else if (kind === 1) {
      told("half-open ends");
      this.#ends[this.#random(2)].end();
    } else {
      told("resets");
      this.#cut();
    }
  }

  #cut() {
    for (const end of this.#ends) if (!end.destroyed) end.resetAndDestroy();
  }
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Listens on a free port of 127.0.0.1.
 *
 * @param {number} serverPort
 * @param {(limit: number) => number} random
 * @returns {Promise<{ port: number, faults: Record<string, number>, close(): void }>}
 */
export async function faultyProxy(serverPort, random) {
  const faults = {};
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dial({ host: "127.0.0.1", port: serverPort, allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    new Link(client, upstream, random, (kind) => {
      faults[kind] = (faults[kind] ?? 0) + 1;
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: server.address().port, faults, close };
}
