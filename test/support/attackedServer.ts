// A server of protocol v2 with one raw client, which sends what no client of this package would send.

import assert from "node:assert/strict";
import type { ServerOptions } from "../../src/index.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { v2 } from "./protocols.ts";
import { RawPeer } from "./rawPeer.ts";
import type { RawFrame } from "./rawSession.ts";
import { startServer, waitFor } from "./rpcHarness.ts";

/** What all messages that wait may cost together, at this server. */
export const ATTACKED_WINDOW = 262_144;

const EMPTY = new Uint8Array(0);

/** The server, its raw client, and why the connection ended. */
export async function attackedServer(options: ServerOptions) {
  const ends: (string | undefined)[] = [];
  const server = await startServer({
    ...v2.options,
    messageCreditBytes: ATTACKED_WINDOW,
    onHandlerError: () => {},
    onConnectionState: (_connection, state, error) => state === "closed" && ends.push(error?.code),
    ...options,
  });
  const session = await v2.rawSession(await RawPeer.connect(server.port), "client");
  const leave = async (): Promise<void> => {
    session.destroy();
    await session.peer.destroy();
    await waitFor(() => ends.length === 1, "the end");
  };
  return {
    server,
    session,
    ends,
    say: (sequence: number, kind: number, body: Uint8Array = EMPTY) =>
      session.peer.write(session.seal(sequence, body, kind)),
    /** What the server said until it had handled all that was said before: credit leaves when a read has been handled. */
    async saidUntilPong(): Promise<RawFrame[]> {
      const said = [...(await session.receiveUntilPong()), ...(await session.receiveUntilPong())];
      return said.filter(({ kind }) => kind !== Kind.settings);
    },
    leave,
    async expectEnd(what?: string): Promise<void> {
      await session.peer.ended();
      await leave();
      assert.deepEqual(ends, ["ERR_PROTOCOL"], what);
    },
  };
}
