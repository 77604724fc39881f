// Trust on first use: the server's key is written down when it is first met, and from then on must be the same.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, generateKeyPair, knownPeers, listen } from "sealwire";

const folder = await mkdtemp(join(tmpdir(), "sealwire-example-"));
const peers = knownPeers(join(folder, "known_peers"));
const clientKeys = generateKeyPair();
const onMessage = (message) => message.reply(message.body);

async function serve(port, keys) {
  return await listen({ port, staticKey: keys.privateKey, authorize: () => true, onMessage });
}
async function call(port) {
  const client = connect({ port, staticKey: clientKeys.privateKey, authorize: peers.authorize });
  try {
    await client.request(new Uint8Array(1));
    return "accepted";
  } catch (error) {
    return `refused with ${error.code}`;
  } finally {
    await client.close();
  }
}

const serverKeys = generateKeyPair();
let server = await serve(0, serverKeys);
const { port } = server;
console.log(`the first time: ${await call(port)}`);
console.log(`known since: ${(await peers.list()).length}`);
console.log(`the next time: ${await call(port)}`);
await server.close();

// Somebody else listens at the same address, with a key of their own.
server = await serve(port, generateKeyPair());
console.log(`with another key: ${await call(port)}`);
await server.close();
await rm(folder, { recursive: true });
