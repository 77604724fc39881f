// Drives two handshakes against each other in memory, as a connection drives them, without sockets.

import type { Handshake, HandshakeResult, Role } from "../../src/protocol/handshake.ts";

/** No handshake has as many messages. */
const MAX_MESSAGES = 8;

/** Passes what `from` writes to `to` in the pieces that it asks for. Returns whether there was anything. */
function pass(from: Handshake, to: Handshake): boolean {
  const bytes = from.send();
  if (bytes === undefined) return false;
  for (let at = 0; at < bytes.length; ) {
    const length = to.expects;
    if (length === 0 || at + length > bytes.length)
      throw new Error("the ends do not agree about what is sent");
    if (to.receive(bytes.slice(at, at + length)) instanceof Promise)
      throw new Error("not a synchronous handshake");
    at += length;
  }
  return true;
}

/** Runs both to their end. */
export function drive(client: Handshake, server: Handshake): [HandshakeResult, HandshakeResult] {
  for (let i = 0; i < MAX_MESSAGES && !(client.done && server.done); i++) {
    if (!pass(client, server) && !pass(server, client)) throw new Error("both ends wait");
  }
  return [client.finish(), server.finish()];
}

/** Runs both until one throws; says which. The other would only see the connection close. */
export function driveUntilError(client: Handshake, server: Handshake): { side: Role; error: unknown } {
  for (let i = 0; i < MAX_MESSAGES && !(client.done && server.done); i++) {
    for (const [from, to, side] of [
      [client, server, "server"],
      [server, client, "client"],
    ] as const) {
      try {
        pass(from, to);
      } catch (error) {
        return { side, error };
      }
    }
  }
  throw new Error("the handshake succeeded");
}
