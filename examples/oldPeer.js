// A peer that speaks protocol v1, which earlier programs use. It authenticates nobody: for peers that know nothing else.
import { connect, listen, monteV1 } from "sealwire";

const onMessage = (message) => message.reply(message.body);
const server = await listen({ port: 0, handshake: monteV1(), onMessage });
const client = connect({ port: server.port, handshake: monteV1() });

const answer = await client.request(new TextEncoder().encode("hello from the past"));
console.log(new TextDecoder().decode(answer));
console.log(`authenticated: ${(await client.connected()).authenticated}`);

await client.close();
await server.close();
