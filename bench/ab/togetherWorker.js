// One start of bench:together: both builds with both ends in this process, and slices of each in turn.
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const OUTSTANDING = 64;
/** Slices of a few milliseconds, longer than the steps in which systems count processor time. */
const SLICE_MS = 8;

const ROWS = [
  { name: "A to itself: 64 requests at a time, 64 B", kind: "parallel", size: 64, sameBuild: true },
  { name: "64 requests at a time, 64 B", kind: "parallel", size: 64 },
  { name: "64 requests at a time, 1,400 B", kind: "parallel", size: 1_400 },
  { name: "one request at a time, 1,400 B", kind: "single", size: 1_400 },
  { name: "one way, 64 B", kind: "oneWay", size: 64 },
  { name: "one way, 1,400 B", kind: "oneWay", size: 1_400 },
];

const [runtime, messageBodies, timeMs, warmUpMs, ...dists] = process.argv.slice(2);
const bodyOf = (size) => Uint8Array.from({ length: size }, (_, i) => i * 31);

async function openBuild(dist) {
  const { connect, listen } = await import(pathToFileURL(join(dist, `${runtime}.js`)).href);
  const psk = new Uint8Array(32).fill(7);
  const handled = { bytes: 0 };
  const onMessage = (message) => {
    if (message.expectsReply) message.reply(message.body);
    else handled.bytes += message.body.length;
  };
  const server = await listen({ host: "127.0.0.1", port: 0, psk, messageBodies, onMessage });
  const client = connect({ host: "127.0.0.1", port: server.port, psk, maxConnections: 1 });
  for (const { size } of ROWS) {
    const answer = await client.request(bodyOf(size));
    if (!bodyOf(size).every((byte, i) => answer[i] === byte))
      throw new Error(`an answer of ${dist} is wrong`);
  }
  const close = () => Promise.all([client.close(), server.close()]);
  return { client, handled, close };
}

/** Makes `count` operations, and returns when all have been handled. */
const work = {
  async parallel({ client }, body, count) {
    let left = count;
    const lane = async () => {
      while (left-- > 0) await client.request(body);
    };
    await Promise.all(Array.from({ length: OUTSTANDING }, lane));
  },
  async single({ client }, body, count) {
    for (let i = 0; i < count; i++) await client.request(body);
  },
  async oneWay({ client, handled }, body, count) {
    const before = handled.bytes;
    for (let i = 0; i < count; i++) if (!client.sendNoWait(body)) await client.send(body);
    await client.request(new Uint8Array(1));
    if (handled.bytes - before !== count * body.length) throw new Error("messages were lost");
  },
};

async function cpuNsPerOperation(build, { kind, size }, count) {
  const body = bodyOf(size);
  const before = process.cpuUsage();
  await work[kind](build, body, count);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / count;
}

/** Runs both builds until their code is compiled. Returns how many operations a slice has. */
async function warmUp(builds, row) {
  let count = OUTSTANDING;
  for (const end = performance.now() + Number(warmUpMs); performance.now() < end; ) {
    const begin = performance.now();
    for (const build of builds) await cpuNsPerOperation(build, row, count);
    if ((performance.now() - begin) / builds.length < SLICE_MS) count = Math.ceil(count * 1.2);
  }
  return count;
}

const a = await openBuild(dists[0]);
const b = await openBuild(dists[1]);
// Of the same modules as A.
const again = await openBuild(dists[0]);
const results = [];
for (const row of ROWS) {
  const builds = [a, row.sameBuild ? again : b];
  const count = await warmUp(builds, row);
  const pairs = [];
  for (const end = performance.now() + Number(timeMs); performance.now() < end; ) {
    const pair = [];
    for (const i of pairs.length % 2 === 0 ? [0, 1] : [1, 0])
      pair[i] = await cpuNsPerOperation(builds[i], row, count);
    if (pair[0] > 0 && pair[1] > 0) pairs.push(pair);
  }
  results.push({ name: row.name, pairs });
}
console.log(JSON.stringify(results));
await Promise.all([a, b, again].map(({ close }) => close()));
