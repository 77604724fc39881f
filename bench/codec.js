// `npm run bench:codec` measures the codecs of the built package beside JSON.stringify and TextEncoder, JSON.parse and
// TextDecoder. Rounds of all rows alternate. The result is the median of each row in ns per value.
import assert from "node:assert/strict";
import * as msgpack from "@msgpack/msgpack";
import { jsonCodec, msgpackCodec } from "../dist/rpc.js";

const ROUNDS = 15;
const ROUND_MS = 20;

const small = { id: 3, name: "Alice Liddell", tags: ["a", "b"], active: true, score: 4.5 };
const values = {
  "a small object": small,
  "1,000 of them": Array.from({ length: 1_000 }, (_, id) => ({ ...small, id })),
  "10,000 numbers": Array.from({ length: 10_000 }, (_, i) => i * 1.5),
  "a text of 10 kB": "wörter und zeichen ".repeat(500),
};
const special = {
  "with a Date and undefined": { ...small, born: new Date(5), gone: undefined },
  "with 64 kB of bytes": { ...small, data: new Uint8Array(65_536).fill(7) },
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const plain = {
  encode: (value) => encoder.encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(decoder.decode(bytes)),
};
/** JSON as people send bytes with it. */
const withBase64 = {
  encode: (value) =>
    plain.encode(
      JSON.parse(
        JSON.stringify(value, (_, part) =>
          part instanceof Uint8Array ? Buffer.from(part).toString("base64") : part,
        ),
      ),
    ),
  decode: plain.decode,
};
const codecs = { "JSON alone": plain, json: jsonCodec(), msgpack: msgpackCodec(msgpack) };

function timesOf(run) {
  const began = process.cpuUsage();
  const until = performance.now() + ROUND_MS;
  let count = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 10; i++) run();
    count += 10;
  }
  const { user, system } = process.cpuUsage(began);
  return ((user + system) * 1_000) / count;
}

function measure(rows) {
  const times = rows.map(() => []);
  for (const { run } of rows) timesOf(run);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { run }] of rows.entries()) times[i].push(timesOf(run));
  }
  return times.map((row) => row.sort((a, b) => a - b)[ROUNDS >> 1]);
}

function table(name, value, chosen) {
  const rows = Object.entries(chosen).flatMap(([codec, { encode, decode }]) => {
    const body = encode(value);
    return [
      { codec, what: "encode", run: () => encode(value) },
      { codec, what: "decode", run: () => decode(body) },
    ];
  });
  const medians = measure(rows);
  const [encodeAlone, decodeAlone] = medians;
  rows.forEach(({ codec, what }, i) => {
    const ratio = medians[i] / (what === "encode" ? encodeAlone : decodeAlone);
    console.log(`${name} | ${what} | ${codec} | ${Math.round(medians[i])} ns | ${ratio.toFixed(2)}`);
  });
}

for (const [name, value] of Object.entries(values)) {
  for (const { encode, decode } of Object.values(codecs)) assert.deepEqual(decode(encode(value)), value);
  table(name, value, codecs);
}
for (const [name, value] of Object.entries(special)) {
  assert.deepEqual(codecs.json.decode(codecs.json.encode(value)), value);
  table(name, value, { "JSON alone, base64": withBase64, json: codecs.json });
}
