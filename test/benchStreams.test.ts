// The bench's section about streams: its rows, its delaying proxy and its tables.
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { makeCredentials } from "../bench/matrix/certificate.js";
import { contenders } from "../bench/matrix/contenders/contender.js";
import { openDelayProxy } from "../bench/matrix/delayProxy.js";
import { BenchProcess } from "../bench/matrix/processes.js";
import { summary } from "../bench/matrix/statistics.js";
import { streamTables } from "../bench/report/streamTables.js";
import { runtimes } from "../scripts/runtimes.js";

const runtime = runtimes()[0]!;
const credentials = makeCredentials();

async function openPair(id: string) {
  const [server, client] = [new BenchProcess(runtime, id), new BenchProcess(runtime, id)];
  onTestFinished(async () => void (await Promise.all([server.stop(), client.stop()])));
  const { port } = await server.call("listen", { endpoint: { credentials } });
  await client.call("connect", { endpoint: { port, credentials }, name: "direct" });
  return { client, port };
}

test.each(["sealwire", "grpc"])(
  "%s: streams are checked byte by byte and counted, both ways",
  async (id) => {
    const { client } = await openPair(id);
    await client.call("check", { name: "direct", sizes: [1_400, 65_536], streams: true });
    for (const kind of ["upload", "download"]) {
      const run = { name: "direct", kind, size: 1_400, outstanding: 2, count: 200 };
      expect((await client.call("run", run)).elapsedMs, kind).toBeGreaterThan(0);
    }
  },
  30_000,
);

test.each(["sealwire", "raw"])(
  "%s: requests are timed beside bulk streams, and alone after them",
  async (id) => {
    const { client } = await openPair(id);
    const run = { name: "direct", kind: "request", size: 64, outstanding: 1, count: 10 };
    const beside = await client.call("run", { ...run, bulk: { streams: 4, size: 16_000 } });
    expect(beside.bulkMbPerS).toBeGreaterThan(0);
    expect(beside.p99Us).toBeGreaterThanOrEqual(beside.p50Us);
    const alone = await client.call("run", run);
    expect(alone.bulkMbPerS).toBeUndefined();
    expect(alone.p50Us).toBeGreaterThan(0);
  },
  30_000,
);

test("a stream crosses the delaying proxy, which no byte crosses early", async () => {
  const { client, port } = await openPair("sealwire");
  const proxy = await openDelayProxy(port, 10);
  onTestFinished(() => proxy.close());
  await client.call("connect", { endpoint: { port: proxy.port, credentials }, name: "delayed" });
  const run = { name: "delayed", kind: "upload", size: 16_000, outstanding: 1, count: 20 };
  // There and back for the answer, and once more for the credit that 20 items need.
  expect((await client.call("run", run)).elapsedMs).toBeGreaterThanOrEqual(40);
}, 30_000);

test("the proxy passes everything on, more than may be in flight, and the end behind it", async () => {
  const echo = net.createServer((socket) => void socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const proxy = await openDelayProxy((echo.address() as net.AddressInfo).port, 1);
  onTestFinished(() => {
    proxy.close();
    echo.close();
  });
  const sent = new Uint8Array(6 << 20).map((_, i) => (i * 7) % 253);
  const socket = net.connect(proxy.port, "127.0.0.1");
  socket.end(sent);
  const received = Buffer.concat(await socket.toArray());
  expect(received.equals(sent)).toBe(true);
}, 30_000);

test("the tables set requests beside bulk and a long path against raw TCP, and say whether the goals are reached", () => {
  const row = (fields: object) => ({ section: "streams", client: runtime.id, ...fields });
  const beside = (contender: string, streams: number, p99: number) => {
    const bulk = streams === 0 ? {} : { bulkMbPerS: summary([50]) };
    return row({ row: "beside", contender, streams, p50Us: summary([10]), p99Us: summary([p99]), ...bulk });
  };
  const delayed = (contender: string, rate: number) =>
    row({
      row: "delayed",
      contender,
      how: "how",
      roundTripMs: 50,
      wholeMbPerS: summary([rate / 2]),
      steadyMbPerS: summary([rate]),
    });
  const tablesOf = (p99: number, rate: number) =>
    streamTables({
      machine: { runtimes: [{ id: runtime.id, label: "Here" }] },
      contenders,
      results: [
        ...[
          beside("sealwire", 0, 100),
          beside("sealwire", 4, p99),
          beside("raw", 0, 50),
          beside("raw", 4, 400),
        ],
        ...[delayed("sealwire", rate), delayed("raw", 80)],
      ],
    });
  const [, besideBulk, overDelay] = tablesOf(600, 60);
  expect(besideBulk!.rows).toEqual([
    ["Here", "sealwire", "10", "100", "10", "600 (600–600)", "6 × ✗ (≤ 3, or raw TCP's)", "1.5 ×", "50"],
    ["Here", "raw TCP", "10", "50", "10", "400 (400–400)", "8 ×", "1 ×", "50"],
  ]);
  expect(overDelay!.rows[0]!.at(-1)).toBe("75 % ✗ (≥ 80)");
  const [, reached, reachedToo] = tablesOf(390, 64);
  expect(reached!.rows[0]![6]).toBe("3.9 × ✓ (≤ 3, or raw TCP's)");
  expect(reachedToo!.rows[0]!.at(-1)).toBe("80 % ✓ (≥ 80)");
});
