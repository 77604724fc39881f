// Listeners of node:net. They also serve on other runtimes where those can't share a port or inherit a socket.

import type { Server, Socket } from "node:net";
import { isAllowed } from "../base/denoPermission.ts";
import { loadPart } from "../base/loadPart.ts";
import { detach } from "../core/detach.ts";
import type { ListenAddress, Listener, Transport, TransportEvents } from "../rpc/transport.ts";
import { DescriptorGuard } from "./descriptors.ts";
import { checkPath, listenFailed } from "./failures.ts";
import { modulesLoading, nodeModule } from "./nodeModules.ts";
import { acceptIntoReceiveBuffer, type SocketMaker } from "./nodeReceiveBuffer.ts";
import { isNode, NodeTransport } from "./nodeTransport.ts";
import { closingOwnPath } from "./ownPath.ts";

/** Deno's fstat knows only descriptors that Deno opened; inherited ones have a path. */
function isNoSocket(fd: number): boolean {
  const { fstatSync, statSync } = nodeModule("fs");
  const path = `/dev/fd/${fd}`;
  for (const stat of [() => fstatSync(fd), () => isAllowed({ name: "read", path }) && statSync(path)]) {
    try {
      const found = stat();
      if (found) return !found.isSocket();
    } catch {}
  }
  return false; // The runtime says what is wrong with it.
}

/** A runtime that is given another open file closes it when it can't listen on it, although it belongs to others. */
function checkDescriptor(fd: number): void {
  if (isNoSocket(fd)) throw new Error("it is no socket");
}

/** The option names of node:net; its types may be older than `reusePort`. */
function where(address: ListenAddress): object {
  checkPath(address);
  const { fd, path, host, port, reusePort } = address;
  if (fd !== undefined) {
    checkDescriptor(fd);
    return { fd };
  }
  return path === undefined ? { host, port, ...(reusePort ? { reusePort } : {}) } : { path };
}

/** Listens to the bytes of a socket that a server made. */
function onData(this: Socket, bytes: Uint8Array): void {
  NodeTransport.of(this).events.onData(bytes);
  detach(bytes);
}

class NodeListener implements Listener {
  readonly #server: Server;
  readonly #accept: (transport: Transport) => TransportEvents;
  /** Node reports a failure to accept, but only when its own reserve is lost. Bun does not report it. */
  readonly #guard = new DescriptorGuard(isNode ? "told" : "untold");

  #stop: () => void | Promise<void> = () => void this.#server.close();

  port = 0;

  constructor(accept: (transport: Transport) => TransportEvents) {
    this.#accept = accept;
    const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    this.#server = nodeModule("net").createServer(options, (socket) => {
      this.#accepted(
        () => socket.on("data", onData),
        () => socket.destroy(),
      );
    });
  }

  /** A connection was accepted. */
  readonly #accepted = (make: SocketMaker, close: () => void): void => {
    if (!this.#guard.admits()) return close();
    const socket = make();
    const transport = new NodeTransport(socket);
    socket.pause();
    transport.events = this.#accept(transport);
  };

  start(address: ListenAddress): Promise<this> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        this.#guard.close();
        reject(listenFailed(address, error));
      };
      try {
        this.#server.once("error", failed);
        this.#server.listen({ ...where(address), backlog: 1_024 }, () => {
          this.#server.removeListener("error", failed);
          this.#server.on("error", () => this.#guard.failed());
          if (isNode) acceptIntoReceiveBuffer(this.#server, this.#accepted);
          const bound = this.#server.address();
          if (bound !== null && typeof bound === "object") this.port = bound.port;
          this.#stop = closingOwnPath(address.path, this.#stop);
          resolve(this);
        });
      } catch (error) {
        failed(error);
      }
    });
  }

  get acceptFailures(): number {
    return this.#guard.failures;
  }

  keepAlive(on: boolean): void {
    if (on) this.#server.ref();
    else this.#server.unref();
  }

  async close(): Promise<void> {
    this.#guard.close();
    const closed = new Promise<void>((resolve) => this.#server.once("close", resolve));
    await this.#stop();
    await closed;
  }
}

/** Listens with node:net, which can do more than the own sockets of some runtimes. */
export async function listenByNode(
  address: ListenAddress,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  await modulesLoading();
  let checked = address;
  // `permission` is there if Node restricts the process; its types may be older.
  if (address.reusePort || "permission" in process) {
    const { checkedAddress } = await loadPart("checks of addresses", () => import("./listenAddress.ts"));
    checked = await checkedAddress(address);
  }
  return new NodeListener(accept).start(checked);
}
