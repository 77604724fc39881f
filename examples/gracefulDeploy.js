// A new version of a server takes over while clients go on to call: the old one says that it drains, ends what it has
// begun, and its clients go to the other. Here both are in one process; for a real one see server.js and
// docs/OPERATIONS.md.
import { connect, listen } from "sealwire";

const psk = crypto.getRandomValues(new Uint8Array(32));
const start = (version) =>
  listen({
    port: 0,
    psk,
    onHealth: (health) => console.log(`${version} is ${health}`),
    onMessage: async (message) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      message.reply(new TextEncoder().encode(version));
    },
  });

const before = await start("version 1");
const endpoints = [{ port: before.port }];
const client = connect({ endpoints: () => endpoints, psk });
const answered = new Set();
let failed = 0;
let running = true;
const calls = (async () => {
  while (running) {
    try {
      answered.add(new TextDecoder().decode(await client.request(new Uint8Array(1))));
    } catch {
      failed++;
    }
  }
})();
while (answered.size < 1) await new Promise((resolve) => setTimeout(resolve, 5));

const after = await start("version 2");
endpoints.splice(0, 1, { port: after.port });
await before.close();
while (answered.size < 2) await new Promise((resolve) => setTimeout(resolve, 5));
running = false;
await calls;
console.log([...answered].join(", then "), "and failed calls:", failed);

await client.close();
await after.close();
