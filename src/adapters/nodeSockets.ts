// The adapter for node:net. It also works on the emulations of Bun and Deno, because a bundler may have chosen it.

import type { Socket } from "node:net";
import { loadPart } from "../base/loadPart.ts";
import { outOfContext, runAtEndOfTurn, runSoon, yieldToEventLoop } from "../core/eventLoop.ts";
import { timers } from "../rpc/timers.ts";
import type {
  Adapter,
  Address,
  DialEvents,
  ListenAddress,
  Listener,
  Transport,
  TransportEvents,
} from "../rpc/transport.ts";
import { checkPath, dialFailed } from "./failures.ts";
import { listenByNode } from "./nodeListener.ts";
import { modulesLoading, nodeModule } from "./nodeModules.ts";
import { intoReceiveBuffer } from "./nodeReceiveBuffer.ts";
import { isNode, NodeTransport } from "./nodeTransport.ts";
import { names } from "./resolveName.ts";

function where(address: Address): { path: string } | { host: string; port: number } {
  checkPath(address);
  return address.path === undefined ? { host: address.host, port: address.port } : { path: address.path };
}

/** Makes a transport from the socket behind a connected stream, or leaves the stream as it is. */
type Adopt = (socket: Socket) => Transport | undefined;

/**
 * Dials. `adopt` may make a transport from the socket behind the connected stream; then the stream reports
 * nothing more.
 */
export function dialByNode(address: Address, events: DialEvents, adopt?: Adopt): () => void {
  const loading = modulesLoading();
  if (loading === undefined) return dial(address, events, adopt);
  let giveUp: (() => void) | undefined;
  let isGivenUp = false;
  void loading.then(() => {
    giveUp = outOfContext(() => dial(address, events, adopt));
    if (isGivenUp) giveUp();
  });
  return () => {
    isGivenUp = true;
    giveUp?.();
  };
}

function dial(address: Address, events: DialEvents, adopt: Adopt | undefined): () => void {
  let socket: Socket;
  try {
    const options = { ...where(address), allowHalfOpen: true, noDelay: true };
    const onread = intoReceiveBuffer(() => socket);
    socket = nodeModule("net").connect(isNode ? { ...options, onread } : options);
  } catch (error) {
    runSoon(() => events.onClose(dialFailed(address, error)));
    return () => {};
  }
  socket.pause();
  let opened = false;
  let failure: Error | undefined;
  const failed = (): void => {
    events.onClose(dialFailed(address, failure ?? new Error("dialling was given up")));
    timers.rest();
  };
  const noteFailure = (error: Error): void => {
    failure = error;
  };
  socket.on("error", noteFailure);
  socket.on("close", failed);
  socket.on("connect", () => {
    opened = true;
    socket.removeListener("error", noteFailure);
    socket.removeListener("close", failed);
    let transport = adopt?.(socket);
    if (transport === undefined) {
      transport = new NodeTransport(socket, events);
      if (!isNode) socket.on("data", (bytes: Uint8Array) => events.onData(bytes));
      socket.pause();
    }
    events.onConnected(transport);
  });
  return () => {
    if (!opened) outOfContext(() => socket.destroy());
  };
}

async function listen(
  address: ListenAddress,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  // After a listener of Deno's node:net ran out of descriptors, it never accepts again, and does not report
  // that.
  if (process.versions.deno !== undefined) {
    // Loaded only when needed, so that other programs do not carry it.
    const { denoAdapter } = await loadPart("Deno", () => import("./denoSockets.ts"));
    return denoAdapter.listen(address, accept);
  }
  return listenByNode(address, accept);
}

export const nodeAdapter: Adapter = {
  name: "node",
  dial: (address, events) => outOfContext(() => dialByNode(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  ...names,
  defer: runAtEndOfTurn,
  yieldToEventLoop,
};
