// Both ends prove a key of their own. The server knows its clients by their public keys, the client pins the server's.
import { connect, encodeKey, generateKeyPair, listen } from "sealwire";

// In real life each end makes its own pair (`sealwire keygen -o server.key`) and tells the other its public key only.
const serverKeys = generateKeyPair();
const alice = generateKeyPair();
const stranger = generateKeyPair();

const names = new Map([[encodeKey(alice.publicKey), "alice"]]);
const server = await listen({
  port: 0,
  staticKey: serverKeys.privateKey,
  authorize: (key) => names.has(encodeKey(key)),
  onMessage: (message) => {
    const name = names.get(encodeKey(message.connection.remoteStaticKey));
    message.reply(new TextEncoder().encode(`hello ${name}`));
  },
});

const connectAs = ({ privateKey }) =>
  connect({ port: server.port, staticKey: privateKey, remoteStatic: serverKeys.publicKey });

const known = connectAs(alice);
console.log(new TextDecoder().decode(await known.request(new Uint8Array(0))));
await known.close();

const unknown = connectAs(stranger);
try {
  await unknown.request(new Uint8Array(0));
} catch (error) {
  console.log(`the stranger is refused: ${error.code.startsWith("ERR_")}`);
}
await unknown.close();
await server.close();
