// One end of a bench pair, in a process of its own and in the runtime under test. Commands are JSON lines on standard
// input, and each is answered with one line on standard output. The process ends with its input.

import process from "node:process";
import { createInterface } from "node:readline";
import { loadContender } from "../contenders/contender.js";
import { measureAead } from "./aead.js";
import { checkConnection } from "./check.js";
import { CountingServer, payloadBytes } from "./control.js";
import { HeapMeter, heapMethod } from "./heap.js";
import { calibrate, runLoop } from "./loops.js";

const contender = await loadContender(process.argv[2]);
const counter = new CountingServer();
const meter = new HeapMeter();
const groups = new Map(); // name of a group of connections → the connections
const servers = new Map();
const payloads = new Map();

function payloadOf(size) {
  let payload = payloads.get(size);
  if (payload === undefined) {
    payload = payloadBytes(size);
    payloads.set(size, payload);
  }
  return payload;
}

const commands = {
  async listen({ endpoint, name = "default" }) {
    const server = await contender.listen(endpoint, counter);
    servers.set(name, server);
    return { port: server.port };
  },

  async unlisten({ name = "default" }) {
    await servers.get(name)?.close();
    servers.delete(name);
    return {};
  },

  /** Opens `count` connections, `atOnce` dials at a time, and keeps them under a name. */
  async connect({ endpoint, name, count = 1, atOnce = 1 }) {
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    let left = count;
    const start = performance.now();
    const dial = async () => {
      while (left > 0) {
        left -= 1;
        group.push(await contender.connect(endpoint));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, dial));
    return { elapsedMs: performance.now() - start };
  },

  async disconnect({ name }) {
    for (const connection of groups.get(name) ?? []) await connection.close();
    groups.delete(name);
    return {};
  },

  async check({ name, sizes, streams }) {
    await checkConnection(groups.get(name)[0], sizes, streams);
    return {};
  },

  async calibrate({ name, kind, size, ...how }) {
    return { count: await calibrate(kind, groups.get(name), payloadOf(size), how) };
  },

  async run({ name, kind, size, outstanding, burst, bulk, count, heap }) {
    if (heap) meter.start();
    const before = process.cpuUsage();
    const how = { burst, bulk };
    const result = await runLoop(kind, groups.get(name), payloadOf(size), count, outstanding, how);
    const { user, system } = process.cpuUsage(before);
    const measured = { ...result, cpuUs: user + system };
    return heap ? { ...measured, heapBytes: meter.stop() } : measured;
  },

  /** Complete handshakes, `atOnce` at a time: dial, one small request, close. */
  async handshakes({ endpoint, count, atOnce }) {
    const payload = payloadOf(16);
    let left = count;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        const connection = await contender.connect(endpoint);
        await connection.request(payload);
        await connection.close();
      }
    };
    const start = performance.now();
    await Promise.all(Array.from({ length: atOnce }, one));
    return { elapsedMs: performance.now() - start };
  },

  /** Complete pools of `size` connections, one after the other. */
  async poolHandshakes({ endpoint, count, size }) {
    const start = performance.now();
    for (let opened = 0; opened < count; opened += size) {
      const pool = await contender.connectPool(endpoint, size);
      await pool.close();
    }
    return { elapsedMs: performance.now() - start };
  },

  /** Processor time of this process so far, all threads, user and kernel, in microseconds. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return { cpuUs: user + system };
  },

  /** What the runtime's own ciphers cost. */
  aead: measureAead,

  heapStart() {
    meter.start();
    return {};
  },

  heapStop: () => ({ heapBytes: meter.stop() }),

  usage() {
    const { rss, heapUsed } = process.memoryUsage();
    return { rss, heapUsed, heapMethod: heapMethod() };
  },
};

function answer(id, result) {
  process.stdout.write(`${JSON.stringify({ id, ...result })}\n`);
}

process.on("unhandledRejection", (error) => {
  process.stderr.write(`unhandled: ${error?.stack ?? error}\n`);
  process.exit(1);
});

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { id, command, ...parameters } = JSON.parse(line);
  try {
    answer(id, { ok: true, ...(await commands[command](parameters)) });
  } catch (error) {
    answer(id, { ok: false, error: String(error?.stack ?? error) });
  }
});
lines.on("close", () => process.exit(0));
