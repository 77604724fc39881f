// Picks the sockets of the runtime that the program really runs in. A bundler resolves the package for one
// runtime, and people run the bundle in another. Then the resolved sockets do not exist, and the sockets of
// node:net do.

import { bunAdapter } from "../adapters/bunSockets.ts";
import { denoAdapter } from "../adapters/denoSockets.ts";
import { nodeAdapter } from "../adapters/nodeSockets.ts";
import type { Adapter } from "../rpc/transport.ts";

/** Bun's own sockets if they exist, otherwise the sockets of node:net. */
export function bunSockets(): Adapter {
  return "Bun" in globalThis ? bunAdapter : nodeAdapter;
}

/** Deno's own sockets if they exist, otherwise the sockets of node:net. */
export function denoSockets(): Adapter {
  return "Deno" in globalThis ? denoAdapter : nodeAdapter;
}

/** The runtime's own sockets. */
export function ownSockets(): Adapter {
  return "Bun" in globalThis ? bunAdapter : denoSockets();
}
