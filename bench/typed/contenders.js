// The same call in several ways: an echo of one small JSON object. Each contender starts a server and gives a function
// that makes one call. Every contender that uses a network is encrypted; raw TCP has no row here.
import { createServer } from "node:https";
import grpc from "@grpc/grpc-js";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { newWebSocketRpcSession, RpcTarget } from "capnweb";
import WebSocket, { WebSocketServer } from "ws";

const text = new TextEncoder();
const parser = new TextDecoder();
const toBytes = (value) => text.encode(JSON.stringify(value));
const fromBytes = (bytes) => JSON.parse(parser.decode(bytes));
const psk = "5e".repeat(32);

/** @returns a client of a sealwire server with this handler */
async function sealwirePair({ connect, listen }, onMessage) {
  const server = await listen({ port: 0, psk, onMessage });
  const client = connect({ port: server.port, psk, maxConnections: 1 });
  await client.connected();
  return {
    client,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

/** A WebSocket server over TLS 1.3, and sockets of it. */
async function webSockets({ credentials }) {
  const https = createServer({ key: credentials.key, cert: credentials.cert, minVersion: "TLSv1.3" });
  const server = new WebSocketServer({ server: https, perMessageDeflate: false });
  await new Promise((resolve) => https.listen(0, "127.0.0.1", resolve));
  const { port } = https.address();
  const { ca } = credentials;
  class TrustingSocket extends WebSocket {
    constructor(url) {
      super(url, { ca, tls: { ca }, perMessageDeflate: false });
    }
  }
  return {
    server,
    url: `wss://127.0.0.1:${port}`,
    TrustingSocket,
    close: () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
      https.close();
    },
  };
}

const sealwireRaw = async ({ sealwire, value }) => {
  const body = toBytes([value]);
  const { client, close } = await sealwirePair(sealwire, (message) => message.reply(message.body));
  return { call: () => client.request(body), read: fromBytes, close };
};

const sealwireByHand = async ({ sealwire, value }) => {
  const onMessage = (message) => message.reply(toBytes(fromBytes(message.body)));
  const { client, close } = await sealwirePair(sealwire, onMessage);
  return { call: async () => fromBytes(await client.request(toBytes([value]))), close };
};

/** Typed calls; `codec` instead of the default. */
const sealwireTyped =
  (codecOf = () => undefined) =>
  async ({ sealwire, rpc, value }) => {
    const codec = codecOf(value);
    const { client, close } = await sealwirePair(
      sealwire,
      rpc.serve({ echo: (one) => one }, codec === undefined ? {} : { codec }),
    );
    const { echo } = rpc.typed(client, codec === undefined ? {} : { codec });
    return { call: () => echo(value), close };
  };

/** A codec that does nothing: what is left is what the layer itself costs. */
function freeCodec(value) {
  const bytes = toBytes([value]);
  const args = [value];
  return { contentType: 200, version: 1, name: "free", encode: () => bytes, decode: () => args };
}

const grpcJs = async ({ credentials, value }) => {
  const service = {
    Echo: {
      path: "/bench.Bench/Echo",
      requestStream: false,
      responseStream: false,
      requestSerialize: (one) => Buffer.from(JSON.stringify(one)),
      requestDeserialize: (bytes) => JSON.parse(bytes.toString()),
      responseSerialize: (one) => Buffer.from(JSON.stringify(one)),
      responseDeserialize: (bytes) => JSON.parse(bytes.toString()),
    },
  };
  const server = new grpc.Server();
  server.addService(service, { Echo: (call, callback) => callback(null, call.request) });
  const pair = { private_key: Buffer.from(credentials.key), cert_chain: Buffer.from(credentials.cert) };
  const port = await new Promise((resolve, reject) => {
    const tls = grpc.ServerCredentials.createSsl(null, [pair], false);
    server.bindAsync("127.0.0.1:0", tls, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  const Client = grpc.makeGenericClientConstructor(service, "Bench");
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createSsl(Buffer.from(credentials.ca)), {
    "grpc.ssl_target_name_override": "localhost",
  });
  return {
    call: () =>
      new Promise((resolve, reject) => {
        client.Echo(value, (error, reply) => (error ? reject(error) : resolve(reply)));
      }),
    close: () => {
      client.close();
      server.forceShutdown();
    },
  };
};

const capnweb = async ({ credentials, value }) => {
  globalThis.WebSocket ??= WebSocket; // Node 20 has none, and capnweb reads its constants
  const { server, url, TrustingSocket, close } = await webSockets({ credentials });
  class Api extends RpcTarget {
    echo(one) {
      return one;
    }
  }
  server.on("connection", (socket) => newWebSocketRpcSession(socket, new Api()));
  const socket = new TrustingSocket(url);
  const remote = newWebSocketRpcSession(socket);
  return {
    call: () => remote.echo(value),
    close: () => {
      socket.terminate();
      close();
    },
  };
};

const trpc = async ({ credentials, value }) => {
  const { server, url, TrustingSocket, close } = await webSockets({ credentials });
  const t = initTRPC.create();
  const router = t.router({
    echo: t.procedure.input((one) => one).mutation(({ input }) => input),
  });
  applyWSSHandler({ wss: server, router });
  const socket = createWSClient({ url, WebSocket: TrustingSocket });
  const client = createTRPCClient({ links: [wsLink({ client: socket })] });
  return {
    call: () => client.echo.mutate(value),
    close: async () => {
      await socket.close();
      close();
    },
  };
};

/** Rows in their order; `of` is the contender of the matrix whose filter chooses it. */
export const contenders = [
  { id: "raw", of: "sealwire", label: "sealwire, request with bytes", start: sealwireRaw },
  { id: "by-hand", of: "sealwire", label: "sealwire, request with JSON by hand", start: sealwireByHand },
  {
    id: "layer",
    of: "sealwire",
    label: "sealwire, typed call, codec that does nothing",
    start: sealwireTyped(freeCodec),
  },
  { id: "typed", of: "sealwire", label: "sealwire, typed call", start: sealwireTyped() },
  { id: "grpc", of: "grpc", label: "grpc-js over TLS, JSON", start: grpcJs, notIn: ["deno"] },
  { id: "capnweb", of: "capnweb", label: "capnweb over WebSocket over TLS", start: capnweb },
  { id: "trpc", of: "trpc", label: "tRPC over WebSocket over TLS", start: trpc },
];
