// One runtime's rows of typed calls, as a line of JSON (measure.js starts it).
import assert from "node:assert/strict";
import process from "node:process";
import { makeCredentials } from "../matrix/certificate.js";
import { wanted } from "../matrix/settings.js";
import { median, summary } from "../matrix/statistics.js";
import { contenders } from "./contenders.js";

const [, , runtime, how] = process.argv;
const { rounds, sliceMs, warmUpMs, only } = JSON.parse(how);
const value = { id: 12345, name: "a planet", tags: ["x", "y"], ok: true };
const dist = (name) => import(new URL(`../../dist/${name}.js`, import.meta.url));
const sealwire = await dist(runtime.startsWith("node") ? "node" : runtime);
const rpc = await dist("rpc");
const environment = { sealwire, rpc, value, credentials: makeCredentials() };
const MANY = 64;
/** Calls of one caller between two looks at the clock, which takes some 50 ns. */
const BATCH = 4;
const ALLOCATION_SAMPLES = 9;

/** Microseconds of processor time per call. */
async function measure(call, outstanding, forMs) {
  const end = performance.now() + forMs;
  const before = process.cpuUsage();
  let calls = 0;
  const work = async () => {
    // A slice is over before it begins if the machine stops the process at its start: one batch is made all the same.
    do {
      for (let i = 0; i < BATCH; i++) await call();
      calls += BATCH;
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: outstanding }, work));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

/** Bytes that the heap grows by per call, between collections; undefined where they can't be forced. */
async function allocated(call) {
  if (globalThis.gc === undefined) return undefined;
  const samples = [];
  for (let i = 0; i < ALLOCATION_SAMPLES; i++) {
    globalThis.gc();
    const before = process.memoryUsage().heapUsed;
    await Promise.all(Array.from({ length: MANY }, call));
    samples.push((process.memoryUsage().heapUsed - before) / MANY);
  }
  return median(samples);
}

const rows = [];
for (const contender of contenders) {
  if (contender.notIn?.includes(runtime) || !wanted(only, contender.of)) continue;
  const { call, read = (answer) => answer, close } = await contender.start(environment);
  const answer = read(await call());
  assert.deepEqual(Array.isArray(answer) ? answer[0] : answer, value, contender.label);
  await measure(call, MANY, warmUpMs);
  rows.push({ id: contender.id, label: contender.label, call, close, many: [], one: [] });
}
for (let round = 0; round < rounds; round++) {
  for (const row of rows) {
    row.many.push(await measure(row.call, MANY, sliceMs));
    row.one.push(await measure(row.call, 1, sliceMs));
  }
}
for (const row of rows) row.bytes = await allocated(row.call);
const result = rows.map(({ id, label, many, one, bytes }) => ({
  contender: id,
  label,
  manyUs: summary(many),
  oneUs: summary(one),
  bytes,
}));
console.log(JSON.stringify(result));
for (const { close } of rows) await close();
process.exit(0);
