// A server that answers each request with its own bytes, and a client of it.
import { connect, listen } from "sealwire";

// Both ends hold the same 32 random bytes: `sealwire genpsk -o shared.psk`. Here they are made on the spot.
const psk = crypto.getRandomValues(new Uint8Array(32));

const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
const client = connect({ port: server.port, psk });

const answer = await client.request(new TextEncoder().encode("hello"));
console.log(new TextDecoder().decode(answer));

await client.close();
await server.close();
