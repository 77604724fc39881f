// The clients of a measurement: `node bench/many/load.js '<JSON>'`. `warmUp` is the number of requests before it.
// `requests` is the number of requests, over `connections` connections, with `inFlight` at once on each. `handshakes`
// is the number of connections that are made one after another, eight at a time, each with one request. `idle` is the
// number of connections that stay until the standard input ends. The program prints a line at its end.
import process from "node:process";
import { connect } from "../../dist/index.js";

const {
  port,
  psk,
  warmUp = 0,
  requests = 0,
  connections = 1,
  inFlight = 1,
  handshakes = 0,
  idle = 0,
} = JSON.parse(process.argv[2]);
const body = new Uint8Array(64);
const print = (entry) => console.log(JSON.stringify(entry));
const client = () => connect({ port, psk, maxConnections: 1, requestTimeoutMs: 60_000 });

async function each(count, atOnce, work) {
  let left = count;
  const loop = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
}

const clients = Array.from({ length: Math.max(connections, idle) }, client);
if (requests > 0 || idle > 0) {
  let next = 0;
  await each(clients.length, 16, () => clients[next++].request(body));
}
/** So many requests over all clients. */
async function ask(count) {
  const share = Math.ceil(count / clients.length);
  await Promise.all(clients.map((one) => each(share, inFlight, () => one.request(body))));
}

if (warmUp > 0) await ask(warmUp);
print({ ready: true });
process.stdin.resume();
await new Promise((resolve) => process.stdin.once("data", resolve));

const began = performance.now();
if (requests > 0) await ask(requests);
await each(handshakes, 8, async () => {
  const one = client();
  await one.request(body);
  await one.close();
});
print({ doneMs: performance.now() - began });
await new Promise((resolve) => process.stdin.once("data", resolve));
await Promise.all(clients.map((one) => one.close()));
process.exit(0);
