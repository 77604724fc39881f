// Servers that answer with their names, and clients that ask which one serves them.

import type { ClientOptions, Endpoint, Server } from "../../src/index.ts";
import type { StickyClient } from "../../src/rpc/stickyClient.ts";
import { v2 } from "./protocols.ts";
import { fromText, startClient, startServer, text } from "./rpcHarness.ts";

const { options } = v2;

/** A server that answers with its name. */
export function named(name: string, port = 0, host = "127.0.0.1"): Promise<Server> {
  return startServer({ ...options, host, port, onMessage: (message) => message.reply(text(name)) });
}

/** The endpoint of a server. */
export const at = ({ port }: Server): Endpoint => ({ port });

/** The name of the server that takes a call. */
export async function ask(client: Pick<StickyClient, "request">): Promise<string> {
  return fromText(await client.request(text("who?")));
}

/** A client with endpoints. */
export function clientOf(more: ClientOptions): StickyClient {
  return startClient({ ...options, ...more }) as StickyClient;
}
