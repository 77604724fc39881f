// Finds out whether several processes can listen on one port (SO_REUSEPORT). Runtimes that do not know the option
// ignore it, and its effect differs between systems, so this file tries it until it has worked once.

import type { Server } from "node:net";
import { nodeModule } from "./nodeModules.ts";

/** The trial's address is the machine's own, so that nobody else can reach its port. */
export const TRIAL_HOST = "127.0.0.1";

/** node:net's types may be older than the option. */
interface WithReusePort {
  readonly host: string;
  readonly port: number;
  readonly reusePort: true;
}

function listenOnce(port: number): Promise<Server> {
  const where: WithReusePort = { host: TRIAL_HOST, port, reusePort: true };
  return new Promise((resolve, reject) => {
    // A scan of the machine's ports may find this one. A server closes only when its connections are gone.
    const server = nodeModule("net").createServer((visitor) => visitor.destroy());
    server.once("error", reject);
    server.listen(where, () => resolve(server));
  });
}

const close = (server: Server) => new Promise<void>((closed) => server.close(() => closed()));

/** Opens two listeners on one free port. The second one fails if the option has no effect. */
async function tryOut(): Promise<void> {
  const first = await listenOnce(0);
  try {
    const bound = first.address();
    await close(await listenOnce(typeof bound === "object" && bound !== null ? bound.port : 0));
  } finally {
    await close(first);
  }
}

/** Calls that come during a trial have its outcome. A trial that failed says nothing about later ones. */
export class PortTrial {
  #success: Promise<void> | undefined;

  /** Rejects with the runtime's error. */
  succeeds(): Promise<void> {
    this.#success ??= tryOut().catch((error: unknown) => {
      this.#success = undefined;
      throw error;
    });
    return this.#success;
  }
}
