// A server gets a new key. Clients trust both for a while, so that at no moment one of them is locked out.
import { connect, generateKeyPair, listen } from "sealwire";

const onMessage = (message) => message.reply(message.body);
const clientKeys = generateKeyPair();
const [oldKeys, newKeys] = [generateKeyPair(), generateKeyPair()];

let port = 0;
async function serve({ privateKey }) {
  const server = await listen({ port, staticKey: privateKey, remoteStatic: clientKeys.publicKey, onMessage });
  port = server.port;
  return server;
}
async function call(trusted) {
  const client = connect({ port, staticKey: clientKeys.privateKey, authorize: oneOf(trusted) });
  try {
    await client.request(new Uint8Array(1));
    return "works";
  } catch (error) {
    return error.code;
  } finally {
    await client.close();
  }
}
/** Accepts servers with one of these keys. */
function oneOf(trusted) {
  return (key) => trusted.some(({ publicKey }) => publicKey.every((byte, i) => byte === key[i]));
}

let server = await serve(oldKeys);
console.log(`1. old key, clients trust the old one: ${await call([oldKeys])}`);
// First all clients learn the new public key.
console.log(`2. old key, clients trust both: ${await call([oldKeys, newKeys])}`);
// Then the server changes over; connections that are open finish in good order.
await server.close();
server = await serve(newKeys);
console.log(`3. new key, clients trust both: ${await call([oldKeys, newKeys])}`);
// Last, the clients forget the old key: whoever has it can't pose as the server any more.
console.log(`4. new key, clients trust the new one: ${await call([newKeys])}`);
await server.close();
server = await serve(oldKeys);
console.log(`5. old key, clients trust the new one: ${await call([newKeys])}`);
await server.close();
