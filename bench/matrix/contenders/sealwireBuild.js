// sealwire from a built package, imported as a user imports it. The package is this checkout's dist/ unless the
// endpoint names another. Each client has one connection, so that a row compares connections and not pools. All options
// are at their defaults, except the limits below, which messages of 1 MiB and thousands of connections need.
//
// Variants (for the handshake rows): "v1", the classical "NN" and "XX", the hybrid "NNhfs", "XXhfs" and "IKhfs".
// Without a variant the pattern is the psk default, Noise NNhfs+psk0.
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";

const entryPoint = typeof Bun !== "undefined" ? "bun" : typeof Deno !== "undefined" ? "deno" : "node";
const ownDist = new URL("../../../dist/", import.meta.url);

const PSK = new Uint8Array(32).fill(7); // both ends of a bench know it; it protects nothing
const clientKey = new Uint8Array(32).fill(1);
const serverKey = new Uint8Array(32).fill(2);
// 1 MiB bodies travel, and 64 of them may wait.
const limits = { maxFrameBytes: (1 << 20) + 64, maxPendingBytes: 256 << 20 };

/** The entry point of this runtime in a folder with a build. */
async function load(dist) {
  const folder = dist === undefined ? ownDist : pathToFileURL(`${dist}/`);
  const entry = new URL(`${entryPoint}.js`, folder);
  if (!existsSync(entry)) throw new Error(`${entry.pathname} is not built: npm run build`);
  const { x25519PublicKey } = await import(new URL("crypto.js", folder).href);
  return { ...(await import(entry.href)), x25519PublicKey };
}

function security(variant, isServer, { monteV1, x25519PublicKey }) {
  if (variant === "v1") return { handshake: monteV1() };
  if (variant === undefined) return { psk: PSK };
  const form = variant.endsWith("hfs") ? {} : { postQuantum: false };
  const base = variant.slice(0, 2);
  if (base === "NN") return form;
  const own = { ...form, staticKey: isServer ? serverKey : clientKey, authorize: () => true };
  return base === "IK" && !isServer ? { ...own, remoteStatic: x25519PublicKey(serverKey) } : own;
}

function echo(message, handlers) {
  const answer = handlers.onRequest(message.body);
  if (answer instanceof Uint8Array) {
    message.reply(answer);
    return undefined;
  }
  return answer.then((later) => message.reply(later));
}

async function serveStream(message, stream) {
  for (const item of stream.items()) await message.write(item);
  for await (const item of message) stream.take(item);
  message.reply(stream.report());
}

/** A client of the built package with the bench's streams on it. */
function withStreams(client) {
  client.upload = (order) => {
    const call = client.call(order);
    return {
      write: (item) => call.write(item),
      end: () => {
        call.end();
        return call.answer;
      },
    };
  };
  client.download = (order) => {
    const call = client.call(order);
    call.end();
    return call;
  };
  return client;
}

// What a handler reads where it keeps the default, and where it asks for views, as the documentation advises each.
const readers = {
  copy: ({ body }, handlers) => handlers.onMessage(body, 0, body.length),
  view: ({ bytes, start, end }, handlers) => handlers.onMessage(bytes, start, end),
};

// A client dials another connection when every one it has waits for this many answers.
const BUSY_REQUESTS = 128;
/** So many times that many calls are made for each connection of a pool before it counts as failed. */
const MOST_WAVES = 16;

/**
 * @param {"copy" | "view"} messageBodies what the server asks for; the answers that a client gets are its to keep
 *   either way
 * @param {object} [both] further options of both ends
 * @returns {import("./contender.js").Contender}
 */
export function sealwireContender(messageBodies, both = {}) {
  const readMessage = readers[messageBodies];

  async function dialler({ port, variant, dist, options }, maxConnections) {
    const sealwire = await load(dist);
    const secure = security(variant, false, sealwire);
    return sealwire.connect({ port, ...limits, ...secure, maxConnections, ...both, ...options });
  }

  async function connect(endpoint) {
    const client = await dialler(endpoint, 1);
    await client.connected();
    return withStreams(client);
  }

  async function connectPool(endpoint, count) {
    const client = await dialler(endpoint, count);
    // The first wave opens one connection: until the server has accepted it, it is unknown whether it accepts others.
    for (let wave = 0; wave < MOST_WAVES && client.connections.length < count; wave++) {
      const calls = Array.from({ length: count * BUSY_REQUESTS }, () => client.request(new Uint8Array(16)));
      await Promise.all(calls);
    }
    if (client.connections.length !== count)
      throw new Error(`${client.connections.length} of ${count} connections`);
    return client;
  }

  async function listen({ variant, dist, options }, handlers) {
    const sealwire = await load(dist);
    const server = await sealwire.listen({
      port: 0,
      ...limits,
      ...security(variant, true, sealwire),
      maxConnections: 16_384,
      maxHandshakes: 1_024,
      messageBodies,
      onMessage: (message) => {
        if (message.expectsReply) {
          const stream = handlers.openStream(message.body);
          return stream === undefined ? echo(message, handlers) : serveStream(message, stream);
        }
        readMessage(message, handlers);
        return undefined;
      },
      ...both,
      ...options,
    });
    return { port: server.port, close: () => server.close() };
  }
  return { listen, connect, connectPool };
}
