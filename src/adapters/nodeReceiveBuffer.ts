// Sockets of Node that read straight into linear memory, instead of into a Buffer per read. One buffer serves all of them:
// each read is handled at once.

import { type OnReadOpts, type Server, Socket, type SocketConstructorOpts } from "node:net";
import { memory, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "../core/wasmModule.ts";
import type { TransportEvents } from "../rpc/transport.ts";

const receiveBuffer = memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + RECEIVE_BUFFER_BYTES);

/** While a read is handed out, the buffer belongs to its connection. */
let bufferTaken = false;

/**
 * Hands out what was read into the receive buffer. Nothing that this calls may read into it again.
 *
 * @internal exported for its test
 */
export function handOutReceiveBuffer(events: TransportEvents, length: number): void {
  if (bufferTaken) throw new Error("the receive buffer has two owners");
  bufferTaken = true;
  try {
    events.onReceiveBuffer(length);
  } finally {
    bufferTaken = false;
  }
}

/** The option of a socket that reads into the receive buffer. `socket`, `events`: asked when something was read. */
export function intoReceiveBuffer(socket: () => Socket, events: () => TransportEvents): OnReadOpts {
  return {
    buffer: receiveBuffer,
    callback: (length: number) => {
      try {
        handOutReceiveBuffer(events(), length);
      } catch (error) {
        // A fault of this library costs the connection, not the process.
        socket().destroy(error as Error);
      }
      return true;
    },
  };
}

/** What Node's servers and sockets share without documenting it. */
interface SocketInternals {
  _handle?: { readonly useUserBuffer?: unknown } | null;
  _server?: Server | null;
  server?: Server;
}

/**
 * Node's servers can't be told where their sockets read. So an accepted socket, paused and not read from so far, gives its
 * handle to another one that was told, and its right to be one of the server's connections.
 *
 * @returns undefined where Node's insides are not as expected: then the accepted socket is to be used
 */
export function readingIntoReceiveBuffer(
  accepted: Socket & SocketInternals,
  server: Server,
  events: () => TransportEvents,
): Socket | undefined {
  const { _handle: handle } = accepted;
  if (typeof handle?.useUserBuffer !== "function" || accepted._server !== server) return undefined;
  const socket: Socket & SocketInternals = new Socket({
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    onread: intoReceiveBuffer(() => socket, events),
  } as SocketConstructorOpts);
  if (socket._handle !== handle) return undefined;
  accepted._handle = null;
  accepted._server = null;
  socket._server = server;
  socket.server = server;
  return socket;
}
