// Checks the options that only servers have, makes a server and starts it. Loaded by the first `listen`, with all that
// only servers need: clients are spared it.

import { type ConnectionLimits, functionOption } from "../base/options.ts";
import type { Where } from "./addressOption.ts";
import { type AdmissionOptions, resolveAdmission } from "./admissionLimits.ts";
import type { ConnectionStateListener } from "./peer.ts";
import { RpcServer, type ServerContext } from "./server.ts";
import { resolveListenAddress, resolveServing, type ServingOptions } from "./servingOptions.ts";
import { withStat } from "./statAnswering.ts";

/** The options of `listen` that are checked here. */
type CheckedHere = AdmissionOptions &
  ConnectionLimits &
  ServingOptions &
  Where & { onConnectionState?: ConnectionStateListener };

/** What `listen` made of the others: those that clients have, too, and the keys. */
type Common = Omit<ServerContext, "address" | "admission" | "serving" | "onConnectionState">;

function contextOf(options: CheckedHere, common: Common): ServerContext {
  const serving = resolveServing(options, common.handshake.format.header !== "sequence");
  const perAddress = options.path === undefined || serving.proxies?.includesUnix === true;
  return {
    ...common,
    address: resolveListenAddress(options),
    admission: resolveAdmission(options, perAddress),
    serving,
    onConnectionState: functionOption("onConnectionState", options.onConnectionState),
  };
}

/**
 * Starts a server, or wipes its keys.
 * @throws SealwireError as rejections: ERR_INVALID_ARGUMENT naming the option, ERR_LISTEN_FAILED, ERR_UNSUPPORTED
 */
export async function startServer(options: CheckedHere, common: Common): Promise<RpcServer> {
  let context: ServerContext;
  try {
    context = contextOf(options, common);
  } catch (error) {
    common.wipeKeys();
    throw error;
  }
  const server: RpcServer = new RpcServer(withStat(context, () => server.statAnswer));
  return server.start();
}
