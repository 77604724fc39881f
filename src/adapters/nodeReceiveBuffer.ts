// Sockets of Node that read straight into linear memory, instead of into a Buffer per read. One buffer serves all of them:
// each read is handled at once.

import type { Socket as NetSocket, OnReadOpts, Server, SocketConstructorOpts } from "node:net";
import { memory, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "../core/wasmModule.ts";
import type { TransportEvents } from "../rpc/transport.ts";
import { closeInTurn } from "./closingTurns.ts";
import { nodeModule } from "./nodeModules.ts";
import { NodeTransport } from "./nodeTransport.ts";

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

/** The socket option for reading into the receive buffer. `socket` is called when bytes were read. */
export function intoReceiveBuffer(socket: () => NetSocket): OnReadOpts {
  return {
    buffer: receiveBuffer,
    callback: (length: number) => wasRead(socket(), length),
  };
}

function wasRead(socket: NetSocket, length: number): boolean {
  try {
    handOutReceiveBuffer(NodeTransport.of(socket).events, length);
  } catch (error) {
    // A fault of this library ends the connection, not the process.
    socket.destroy(error as Error);
  }
  return true;
}

/** The handle of a socket of Node, as far as it is used here. */
interface SocketHandle {
  readonly useUserBuffer?: unknown;
  onread: () => void;
  readStop(): unknown;
  close(): void;
}

/** The undocumented members of Node's servers and sockets that are used here. */
interface ServerInternals {
  _handle?: { onconnection?: (this: unknown, error: unknown, handle?: SocketHandle) => void } | null;
  _connections?: number;
}
interface SocketInternals {
  _handle?: SocketHandle | null;
  _server?: Server | null;
}

const handOutNothing = (): void => {};

/** Makes the socket, paused. */
export type SocketMaker = () => NetSocket;

/**
 * Node's servers have no option for the memory that their sockets read into. So this takes the handles of accepted
 * sockets before the server makes sockets from them, and makes sockets that have the option. The server counts them as
 * its own. If Node's internals are not as expected, nothing changes: then the server makes the sockets. Call it once the
 * server listens.
 *
 * @param accepted makes the socket, or closes its handle
 */
export function acceptIntoReceiveBuffer(
  server: Server & ServerInternals,
  accepted: (make: SocketMaker, close: () => void) => void,
): void {
  const { _handle: listening } = server;
  const original = listening?.onconnection;
  if (!original) return;
  listening!.onconnection = function (error, handle) {
    if (error || !handle?.useUserBuffer) original.call(this, error, handle);
    else
      accepted(
        () => socketOf(handle, server),
        () => handle.close(),
      );
  };
}

function socketOf(handle: SocketHandle, server: Server & ServerInternals): NetSocket {
  receivingSocketClass ??= makeReceivingSocketClass();
  const socket: NetSocket & SocketInternals = new receivingSocketClass({
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    onread: acceptedOnRead,
  } as SocketConstructorOpts);
  socket.setNoDelay();
  server._connections!++;
  socket._server = server;
  return socket;
}

/** All accepted sockets share it: Node calls `callback` as a method of the socket. */
const acceptedOnRead: OnReadOpts = {
  buffer: receiveBuffer,
  callback(this: unknown, length: number) {
    return wasRead(this as NetSocket, length);
  },
};

type SocketClass = typeof NetSocket;
let receivingSocketClass: SocketClass | undefined;

/** The class is made when node:net is there. */
function makeReceivingSocketClass(): SocketClass {
  const { Socket } = nodeModule("net");
  class ReceivingSocket extends Socket {
    override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
      // Node takes the length of what a destroyed socket reads for an error number, and throws. Until the close nothing is
      // read, and a `resume` that begins to read again hands out nothing.
      const { _handle: handle } = this as SocketInternals;
      if (handle) {
        handle.readStop();
        handle.onread = handOutNothing;
      }
      // Node itself passes on what its `_destroy` throws, but only before `destroy` returns.
      closeInTurn(() => super._destroy(error, done), done as (failure: unknown) => void);
    }
  }
  return ReceivingSocket;
}
