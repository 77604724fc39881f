// Sockets of Node that read straight into linear memory, instead of into a Buffer per read. One buffer serves all of them:
// each read is handled at once.

import type { OnReadOpts, Server, Socket, SocketConstructorOpts } from "node:net";
import { memory, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "../core/wasmModule.ts";
import type { TransportEvents } from "../rpc/transport.ts";
import { nodeModule } from "./nodeModules.ts";

const receiveBuffer = memory.subarray(RECEIVE_BUFFER, RECEIVE_BUFFER + RECEIVE_BUFFER_BYTES);

/** During a read, the buffer belongs to the connection that reads. */
let bufferTaken = false;

/**
 * Passes the bytes of the receive buffer on. Nothing that this calls may read into the buffer again.
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

/**
 * The socket option for reading into the receive buffer. `socket` and `events` are called when bytes were
 * read.
 */
export function intoReceiveBuffer(socket: () => Socket, events: () => TransportEvents): OnReadOpts {
  return {
    buffer: receiveBuffer,
    callback: (length: number) => {
      try {
        handOutReceiveBuffer(events(), length);
      } catch (error) {
        // A fault of this library ends the connection, not the process.
        socket().destroy(error as Error);
      }
      return true;
    },
  };
}

/** The undocumented members that Node's servers and sockets have in common. */
interface SocketInternals {
  _handle?: { readonly useUserBuffer?: unknown } | null;
  _server?: Server | null;
  server?: Server;
}

/**
 * Node's servers have no option for the memory that their sockets read into. So an accepted socket, paused
 * and not read from so far, passes its handle to another socket that has the option, and with it its count
 * among the server's connections.
 *
 * @returns undefined if Node's internals are not as expected; then use the accepted socket
 */
export function readingIntoReceiveBuffer(
  accepted: Socket & SocketInternals,
  server: Server,
  events: () => TransportEvents,
): Socket | undefined {
  const { _handle: handle } = accepted;
  if (typeof handle?.useUserBuffer !== "function" || accepted._server !== server) return undefined;
  const socket: Socket & SocketInternals = new (nodeModule("net").Socket)({
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
