// oRPC over sealwire: its handlers and links speak through anything that looks like a MessagePort, and a connection can.
// Routers, middlewares and schemas are oRPC's; its context gets the peer that sealwire has proven.
import { createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/message-port";
import { ORPCError, os } from "@orpc/server";
import { RPCHandler } from "@orpc/server/message-port";
import { connect, encodeKey, generateKeyPair, listen } from "sealwire";
import { z } from "zod";

const text = new TextDecoder();
const bytes = new TextEncoder();
/** The first byte of a message says what the rest is. */
const TEXT = 0;
const BINARY = 1;

/** A connection as a MessagePort: one message of the port is one one-way message. */
class ConnectionPort extends EventTarget {
  #connection;

  constructor(connection) {
    super();
    this.#connection = connection;
  }

  postMessage(data) {
    const body = typeof data === "string" ? bytes.encode(data) : new Uint8Array(data);
    const message = new Uint8Array(body.length + 1);
    message[0] = typeof data === "string" ? TEXT : BINARY;
    message.set(body, 1);
    this.#connection.send(message).catch(() => {}); // a lost connection tells everybody by its end
  }

  /** A message arrived. */
  push(message) {
    const body = message.subarray(1);
    const data = message[0] === TEXT ? text.decode(body) : body.slice().buffer;
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** The connection is over. */
  end() {
    this.dispatchEvent(new Event("close"));
  }
}

/** The options of one side: each connection that opens gets a port of its own. */
function ports(onPort) {
  const open = new Map();
  return {
    onMessage: (message) => open.get(message.connection)?.push(message.body),
    onConnectionState: (connection, state) => {
      if (state === "open") {
        const port = new ConnectionPort(connection);
        open.set(connection, port);
        onPort(port, connection);
      } else if (state === "closed") {
        open.get(connection)?.end();
        open.delete(connection);
      }
    },
  };
}

const base = os.$context();
const router = {
  planet: {
    find: base.input(z.object({ id: z.number() })).handler(({ input, context }) => {
      if (context.peer !== "alice") throw new ORPCError("FORBIDDEN");
      return { id: input.id, name: "Earth" };
    }),
    count: base.handler(async function* () {
      for (let i = 1; i <= 3; i++) yield i;
    }),
  },
};

const serverKeys = generateKeyPair();
const aliceKeys = generateKeyPair();
const names = new Map([[encodeKey(aliceKeys.publicKey), "alice"]]);
const handler = new RPCHandler(router);
const server = await listen({
  port: 0,
  staticKey: serverKeys.privateKey,
  authorize: (key) => names.has(encodeKey(key)),
  ...ports((port, connection) => {
    handler.upgrade(port, { context: { peer: names.get(encodeKey(connection.remoteStaticKey)) } });
  }),
});

let opened;
const port = new Promise((resolve) => {
  opened = resolve;
});
const client = connect({
  port: server.port,
  staticKey: aliceKeys.privateKey,
  remoteStatic: serverKeys.publicKey,
  maxConnections: 1,
  ...ports((one) => opened(one)),
});
await client.connected();
const remote = createORPCClient(new RPCLink({ port: await port }));

console.log(JSON.stringify(await remote.planet.find({ id: 3 })));
const error = await remote.planet.find({ id: "3" }).catch((caught) => caught);
console.log(error.code);
const items = [];
for await (const item of await remote.planet.count()) items.push(item);
console.log(items.join());

await client.close();
await server.close();
