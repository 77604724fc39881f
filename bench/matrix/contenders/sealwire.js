// sealwire itself, from the built package, as a user would import it. One connection per client, so that a
// row compares connections and not pools; bodies as views, since the handlers here keep none.
//
// Variants (for the handshake rows): "v1", the classical "NN" and "XX", the hybrid "NNhfs", "XXhfs" and "IKhfs";
// without one, the psk default, Noise NNhfs+psk0.
import { existsSync } from "node:fs";

const entryPoint = typeof Bun !== "undefined" ? "bun" : typeof Deno !== "undefined" ? "deno" : "node";
const dist = new URL(`../../../dist/${entryPoint}.js`, import.meta.url);
if (!existsSync(dist)) throw new Error("dist/ is not built: npm run build");
const { connect: dial, listen: serve, monteV1 } = await import(dist.href);
const { x25519PublicKey } = await import(new URL("../../../dist/crypto.js", import.meta.url).href);

const PSK = new Uint8Array(32).fill(7); // both ends of a bench know it; it protects nothing
const clientKey = new Uint8Array(32).fill(1);
const serverKey = new Uint8Array(32).fill(2);
const serverPublicKey = x25519PublicKey(serverKey);
// 1 MiB bodies travel, and 64 of them may wait.
const limits = { maxFrameBytes: (1 << 20) + 64, maxPendingBytes: 256 << 20 };

function security(variant, isServer) {
  if (variant === "v1") return { handshake: monteV1() };
  if (variant === undefined) return { psk: PSK };
  const form = variant.endsWith("hfs") ? {} : { postQuantum: false };
  const base = variant.slice(0, 2);
  if (base === "NN") return form;
  const own = { ...form, staticKey: isServer ? serverKey : clientKey, authorize: () => true };
  return base === "IK" && !isServer ? { ...own, remoteStatic: serverPublicKey } : own;
}

export async function listen({ variant }, handlers) {
  const server = await serve({
    port: 0,
    ...limits,
    ...security(variant, true),
    maxConnections: 16_384,
    maxHandshakes: 1_024,
    messageBodies: "view",
    onMessage: (message) => {
      if (!message.expectsReply) {
        handlers.onMessage(message.bytes, message.start, message.end);
        return undefined;
      }
      const answer = handlers.onRequest(message.body);
      if (answer instanceof Uint8Array) {
        message.reply(answer);
        return undefined;
      }
      return answer.then((later) => message.reply(later));
    },
  });
  return { port: server.port, close: () => server.close() };
}

export async function connect({ port, variant }) {
  const client = dial({ port, ...limits, ...security(variant, false), maxConnections: 1 });
  await client.connected();
  return client;
}

// A client dials another connection when every one it has waits for this many answers.
const BUSY_REQUESTS = 128;

export async function connectPool({ port, variant }, count) {
  const client = dial({ port, ...limits, ...security(variant, false), maxConnections: count });
  const calls = Array.from({ length: (count - 1) * BUSY_REQUESTS + 1 }, () =>
    client.request(new Uint8Array(16)),
  );
  await Promise.all(calls);
  if (client.connections.length !== count)
    throw new Error(`${client.connections.length} of ${count} connections`);
  return client;
}
