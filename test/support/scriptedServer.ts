// A client of sealwire, and a server whose records a test writes by hand (protocol v2).

import type { ClientOptions } from "../../src/index.ts";
import { Kind } from "../../src/protocol/wire.ts";
import { v2 } from "./protocols.ts";
import { RawListener } from "./rawPeer.ts";
import { RawSession } from "./rawSession.ts";
import { startClient } from "./rpcHarness.ts";

const EMPTY = new Uint8Array(0);
const PSK = v2.options.psk as string;

/** A client whose server is this test. `firstFrame`: what the server says first; its settings, if nothing else. */
export async function startScripted(
  settings: Uint8Array = EMPTY,
  options: Partial<ClientOptions> = {},
  firstFrame = (session: RawSession): Uint8Array => session.seal(0, settings, Kind.settings),
) {
  const listener = await RawListener.listen();
  const ends: (string | undefined)[] = [];
  const states: string[] = [];
  const client = startClient({
    ...v2.options,
    port: listener.port,
    maxConnections: 1,
    onConnectionState: (_connection, state, error) => {
      states.push(state);
      if (state === "closed") ends.push(error?.code);
    },
    ...options,
  } as ClientOptions);
  client.connected().catch(() => {});
  const session = await RawSession.v2(await listener.accept(), "server", PSK, false);
  session.peer.write(firstFrame(session));
  return {
    client,
    session,
    ends,
    states,
    say: (sequence: number, kind: number, body: Uint8Array = EMPTY) =>
      session.peer.write(session.seal(sequence, body, kind)),
    /** What the client said until it answered a ping: everything that was said before has been handled. */
    saidUntilPong: () => session.receiveUntilPong(),
    async leave(): Promise<void> {
      session.destroy();
      await session.peer.destroy();
      await client.close();
      await listener.close();
    },
  };
}
