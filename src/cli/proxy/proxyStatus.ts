// The counters of a proxy, and a small HTTP server that shows them to its owner.

import { createServer, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Target } from "../dialling.ts";
import { CommandError } from "../exitCodes.ts";
import { Moved } from "./relay.ts";

/** The next one takes the place of the oldest, which may be a socket that says nothing. */
const MOST_READERS = 64;
const READER_TIMEOUT_MS = 5_000;

/** Counters of one proxy. */
export class ProxyCounts {
  readonly moved = new Moved();
  /** Plain connections, open and since the start. */
  open = 0;
  total = 0;
  /** Plain connections that were cut, by either side. */
  failed = 0;
  /** Plain connections that were refused because the proxy was full. */
  refused = 0;
  reloads = 0;
  draining = false;

  record(mode: "seal" | "open", sealed: object): object {
    const { open, total, failed, refused, reloads, moved } = this;
    const state = this.draining ? "draining" : "ready";
    return { mode, state, connections: { open, total, failed, refused }, ...moved, reloads, sealed };
  }
}

function answer(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { "content-type": type, "content-length": body.length, connection: "close" });
  response.end(body);
}

/**
 * Answers GET /status with the record as JSON, and GET /readyz with 200, or 503 while the proxy drains.
 *
 * @returns the port (0 for a Unix socket), and the function that stops it
 */
export async function serveStatus(
  address: Target,
  counts: ProxyCounts,
  record: () => object,
): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => {
    const { method, url } = request;
    if (method !== "GET") answer(response, 405, "text/plain", "only GET\n");
    else if (url === "/status") answer(response, 200, "application/json", `${JSON.stringify(record())}\n`);
    else if (url === "/readyz") {
      const { draining } = counts;
      answer(response, draining ? 503 : 200, "text/plain", draining ? "draining\n" : "ready\n");
    } else answer(response, 404, "text/plain", "/status or /readyz\n");
  });
  const readers = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    const [oldest] = readers;
    if (oldest !== undefined && readers.size >= MOST_READERS) {
      readers.delete(oldest);
      oldest.destroy();
    }
    readers.add(socket.on("close", () => readers.delete(socket)));
  });
  server.headersTimeout = READER_TIMEOUT_MS;
  server.requestTimeout = READER_TIMEOUT_MS;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address, resolve);
    });
  } catch (cause) {
    throw new CommandError("unreachable", "--status can't listen", { cause });
  }
  server.on("error", () => {});
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
