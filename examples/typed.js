// Typed calls: functions on one side, called on the other, with a schema, a context, errors, streams both ways, and the
// server that calls its client. In TypeScript, `typed<typeof api>(client)` is all that the client needs of the server.
import { connect, encodeKey, generateKeyPair, listen } from "sealwire";
import { method, RpcError, serve, typed } from "sealwire/rpc";
import { z } from "zod";

const serverKeys = generateKeyPair();
const alice = generateKeyPair();
const admins = new Set([encodeKey(alice.publicKey)]);
const planets = new Map([[3, { name: "Earth", moons: 1 }]]);

const api = {
  echo: (text) => text,
  planet: {
    find: method(z.object({ id: z.number() }), ({ id }, context) => {
      if (!admins.has(context.peerKey)) throw new RpcError("FORBIDDEN", "not yours");
      const planet = planets.get(id);
      if (planet === undefined) throw new RpcError("NOT_FOUND", "no such planet", { id });
      return planet;
    }),
    watch: method(z.number(), async function* (from, { signal }) {
      try {
        for (let i = from; !signal.aborted; i++) yield { change: i };
      } finally {
        console.log("nobody watches any more");
      }
    }),
    upload: async (parts) => {
      let bytes = 0;
      for await (const part of parts) bytes += part.length;
      return bytes;
    },
    ask: method(z.string(), async (question, { connection }) => typed(connection).answer(question)),
  },
};
const log = async (call, next) => {
  const result = await next();
  if (call.method === "echo") console.log(`served ${call.method}`);
  return result;
};
const server = await listen({
  port: 0,
  staticKey: serverKeys.privateKey,
  authorize: () => true,
  onMessage: serve(api, { use: [log] }),
});
const client = connect({
  port: server.port,
  staticKey: alice.privateKey,
  remoteStatic: serverKeys.publicKey,
  onMessage: serve({ answer: (question) => `${question} 42` }),
});
const remote = typed(client);

console.log(await remote.echo("hello"));
console.log((await remote.planet.find({ id: 3 }, { timeoutMs: 5_000 })).name);
for (const input of [{ id: 9 }, { id: "three" }]) {
  const error = await remote.planet.find(input).catch((caught) => caught);
  console.log(error.method, error.code, JSON.stringify(error.data.id ?? error.data.issues[0].path));
}
for await (const { change } of await remote.planet.watch(5)) if (change === 7) break;
async function* parts() {
  for (let i = 0; i < 10; i++) yield new Uint8Array(1_000);
}
console.log(await remote.planet.upload(parts()));
console.log(await remote.planet.ask("the answer is"));

await client.close();
await server.close();
