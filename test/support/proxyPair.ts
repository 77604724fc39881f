// Two proxies, one that seals and one that opens, as processes of given runtimes, and plain sockets for both ends.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { JsonProcess, type Runtime } from "./childProcess.ts";
import { repositoryRoot } from "./vectors.ts";

const cli = join(repositoryRoot, "dist/cli.js");

/** A proxy that listens. */
export interface RunningProxy {
  readonly process: JsonProcess;
  readonly port: number;
  readonly statusPort: number;
}

export async function startProxy(
  runtime: Runtime,
  args: string[],
  env: Record<string, string> = {},
): Promise<RunningProxy> {
  const process = new JsonProcess(runtime, cli, ["proxy", ...args, "--json"], { env });
  const listening = process.entryWith("event");
  const ended = process.exited.then(() => {
    throw new Error(`the proxy ended: ${process.errors}`);
  });
  // Whichever comes later has nobody who waits for it.
  for (const outcome of [listening, ended]) outcome.catch(() => {});
  const { port, statusPort } = await Promise.race([listening, ended]);
  return { process, port: port as number, statusPort: statusPort as number };
}

/** What `--status` says. */
export async function statusOf({ statusPort }: RunningProxy) {
  const response = await fetch(`http://127.0.0.1:${statusPort}/status`);
  return (await response.json()) as {
    state: string;
    connections: { open: number; total: number; failed: number; refused: number };
    plainBytes: number;
    sealedBytes: number;
    reloads: number;
  };
}

/** A plain server on a free port of 127.0.0.1, or where it is said. */
export async function plainServer(
  onSocket: (socket: Socket) => void,
  where?: string | { readonly host: string; readonly port: number },
): Promise<{ server: Server; port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    onSocket(socket);
  });
  if (typeof where === "string") server.listen(where);
  else server.listen(where ?? { host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const port = typeof where === "string" ? 0 : (server.address() as AddressInfo).port;
  return { server, port, close };
}

/** A plain client: what it received, and how it ended. */
export class PlainClient {
  readonly socket: Socket;
  received = "";
  error: string | undefined;
  /** The other side's end came in good order. */
  ended = false;
  readonly closed: Promise<void>;
  /** Resolves when it is connected, or closed before. */
  readonly connected: Promise<void>;

  constructor(where: number | string) {
    const place = typeof where === "number" ? { port: where, host: "127.0.0.1" } : { path: where };
    this.socket = connect({ ...place, allowHalfOpen: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.received += text;
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.socket.end();
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
    const connected = new Promise<void>((resolve) => this.socket.on("connect", () => resolve()));
    this.connected = Promise.race([connected, this.closed]);
  }

  write(text: string): void {
    this.socket.write(text);
  }

  end(): void {
    this.socket.end();
  }
}
