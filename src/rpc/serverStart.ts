// Makes a server and starts it. Loaded by the first `listen`, with all that only servers need: clients are spared it.

import { RpcServer, type ServerContext } from "./server.ts";
import { withStat } from "./statAnswering.ts";

/** Rejects with ERR_LISTEN_FAILED, ERR_UNSUPPORTED; the keys of `context` are wiped then. */
export function startServer(context: ServerContext): Promise<RpcServer> {
  const server: RpcServer = new RpcServer(withStat(context, () => server.statAnswer));
  return server.start();
}
