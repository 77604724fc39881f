// A room: what one client says, the server passes on to all others.
import { connect, listen } from "sealwire";

const psk = crypto.getRandomValues(new Uint8Array(32));
const encode = (text) => new TextEncoder().encode(text);
const decode = (bytes) => new TextDecoder().decode(bytes);

const server = await listen({
  port: 0,
  psk,
  onMessage: (message) => {
    for (const connection of server.connections) {
      // False, and the line is lost, where a client reads too slowly: one of them must not hold up the room.
      if (connection !== message.connection) connection.sendNoWait(message.body);
    }
  },
});

/** A client and the lines that it has heard. */
async function join(name, expected) {
  const heard = [];
  let done;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const onMessage = ({ body }) => {
    if (heard.push(decode(body)) === expected) done();
  };
  const client = connect({ port: server.port, psk, onMessage, maxConnections: 1 });
  await client.connected();
  return { name, client, heard, all, say: (text) => client.send(encode(`${name}: ${text}`)) };
}

const [ann, bob, eve] = await Promise.all([join("ann", 1), join("bob", 1), join("eve", 2)]);
// A client may be open a moment before the server counts it.
while (server.connections.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
await ann.say("is anybody here?");
await bob.all;
await bob.say("I am");
await Promise.all([ann.all, eve.all]);
for (const { name, heard } of [ann, bob, eve]) console.log(`${name} heard ${JSON.stringify(heard.sort())}`);

for (const { client } of [ann, bob, eve]) await client.close();
await server.close();
