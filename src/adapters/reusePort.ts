// Finds out whether several processes can listen on one port (SO_REUSEPORT). Runtimes that do not know the option
// ignore it, and its effect differs between systems, so this file tries it once.

import type { Server } from "node:net";
import { SealwireError } from "../base/errors.ts";
import { nodeModule } from "./nodeModules.ts";

/** node:net's types may be older than the option. */
interface WithReusePort {
  readonly host: string;
  readonly port: number;
  readonly reusePort: true;
}

function listenOnce(port: number): Promise<Server> {
  const where: WithReusePort = { host: "127.0.0.1", port, reusePort: true };
  return new Promise((resolve, reject) => {
    const server = nodeModule("net").createServer();
    server.once("error", reject);
    server.listen(where, () => resolve(server));
  });
}

const close = (server: Server) => new Promise<void>((closed) => server.close(() => closed()));

/**
 * Opens two listeners on one free port of the loopback address. The second one fails if the option has no
 * effect.
 */
async function tryOut(): Promise<unknown> {
  let first: Server | undefined;
  try {
    first = await listenOnce(0);
    const bound = first.address();
    await close(await listenOnce(typeof bound === "object" && bound !== null ? bound.port : 0));
    return undefined;
  } catch (error) {
    return error ?? new Error("the second listener failed");
  } finally {
    if (first !== undefined) await close(first);
  }
}

let outcome: Promise<unknown> | undefined;

/** Rejects with ERR_UNSUPPORTED if two processes can't share a port; `cause` is the error of the trial. */
export async function checkReusePort(): Promise<void> {
  outcome ??= tryOut();
  const cause = await outcome;
  if (cause === undefined) return;
  const text =
    "reusePort: this runtime or system can't share a port (Node can from 22.12 and 23.1 on); node:cluster can";
  throw new SealwireError("ERR_UNSUPPORTED", text, { cause });
}
