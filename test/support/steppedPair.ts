// Two ends whose network moves when a test says so.

import assert from "node:assert/strict";
import { createApi } from "../../src/rpc/api.ts";
import type { RpcConnection } from "../../src/rpc/connection.ts";
import { MemoryNetwork } from "./memoryNetwork.ts";

/** The only connection of a client and a server. Both get the other options, too. */
export async function steppedPair(server: object, client: object = {}) {
  const network = new MemoryNetwork();
  const api = createApi(network.adapter);
  const common = { postQuantum: false, heartbeatIntervalMs: 0 };
  const listening = await api.listen({ ...common, ...server, port: 1 });
  const dialling = api.connect({ ...common, ...client, port: 1, maxConnections: 1 });
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
  const pump = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 500 && !done(); i++) {
      network.deliver(0);
      network.deliver(1);
      await turn();
    }
    assert.ok(done());
  };
  const connected = dialling.connected();
  await pump(() => dialling.connections[0]?.state === "open" && listening.connections.length === 1);
  await connected;
  const [here, there] = [dialling.connections[0]!, listening.connections[0]!];
  const linkOf = (connection: unknown) => (connection as RpcConnection).link;
  return {
    network,
    turn,
    pump,
    client: here,
    clientLink: linkOf(here),
    serverLink: linkOf(there),
    async leave(): Promise<void> {
      let isClosed = false;
      const closed = Promise.all([dialling.close(), listening.close()]).then(() => {
        isClosed = true;
      });
      await pump(() => isClosed);
      await closed;
    },
  };
}
