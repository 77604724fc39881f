// One runtime's rows of bench/typed/main.js, as JSON.
import assert from "node:assert/strict";
import process from "node:process";
import { makeCredentials } from "../matrix/certificate.js";
import { contenders } from "./contenders.js";

const [runtime, rounds, ms] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const value = { id: 12345, name: "a planet", tags: ["x", "y"], ok: true };
const dist = (name) => import(new URL(`../../dist/${name}.js`, import.meta.url));
const sealwire = await dist(runtime.startsWith("node") ? "node" : runtime);
const rpc = await dist("rpc");
const environment = { sealwire, rpc, value, credentials: makeCredentials() };
const MANY = 64;

/** Microseconds of processor time per call. */
async function measure(call, outstanding, forMs) {
  const end = performance.now() + forMs;
  const before = process.cpuUsage();
  let calls = 0;
  const work = async () => {
    while (performance.now() < end) {
      for (let i = 0; i < 16; i++) await call();
      calls += 16;
    }
  };
  await Promise.all(Array.from({ length: outstanding }, work));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

/** Bytes that the heap grows by per call, between collections; undefined where they can't be forced. */
async function allocated(call) {
  if (globalThis.gc === undefined) return undefined;
  const samples = [];
  for (let i = 0; i < 15; i++) {
    globalThis.gc();
    const before = process.memoryUsage().heapUsed;
    await Promise.all(Array.from({ length: MANY }, call));
    samples.push((process.memoryUsage().heapUsed - before) / MANY);
  }
  return median(samples);
}

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

const rows = [];
for (const contender of contenders) {
  if (contender.notIn?.includes(runtime)) continue;
  const { call, read = (answer) => answer, close } = await contender.start(environment);
  const answer = read(await call());
  assert.deepEqual(Array.isArray(answer) ? answer[0] : answer, value, contender.label);
  await measure(call, MANY, 3 * ms);
  rows.push({ label: contender.label, call, close, many: [], one: [] });
}
for (let round = 0; round < rounds; round++) {
  for (const row of rows) {
    row.many.push(await measure(row.call, MANY, ms));
    row.one.push(await measure(row.call, 1, ms));
  }
}
for (const row of rows) row.bytes = await allocated(row.call);
const result = rows.map(({ label, many, one, bytes }) => ({
  label,
  many: median(many),
  one: median(one),
  bytes,
}));
console.log(JSON.stringify(result));
for (const { close } of rows) await close();
process.exit(0);
