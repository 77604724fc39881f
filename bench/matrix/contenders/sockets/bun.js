// Bun: Bun.listen and Bun.connect, with or without Bun's own TLS, under a FramedPeer.
import { FramedPeer } from "../framedPeer.js";
import { giveBack } from "./giveBack.js";

class BunSocket {
  constructor(socket) {
    this.socket = socket;
    this.writesInFlight = 1;
    this.bytes = undefined;
    this.offset = 0;
    this.length = 0;
    this.done = undefined;
  }

  // Bun's write returns how much the kernel took and keeps nothing; the rest waits for `drain`.
  write(bytes, length, done) {
    this.bytes = bytes;
    this.offset = 0;
    this.length = length;
    this.done = done;
    this.resume();
  }

  resume() {
    if (this.bytes === undefined) return;
    const taken = this.socket.write(this.bytes, this.offset, this.length - this.offset);
    if (taken > 0) this.offset += taken;
    if (this.offset < this.length) return;
    this.bytes = undefined;
    this.done();
  }

  endOfTurn(task) {
    process.nextTick(task);
  }

  close() {
    this.socket.terminate();
  }
}

const callbacks = {
  data: (socket, chunk) => {
    const { peer } = socket.data;
    peer.receive(chunk);
    // A client's replies are views of it.
    if (peer.handlers !== undefined) giveBack(chunk);
  },
  drain: (socket) => socket.data.transport.resume(),
  close: (socket) => socket.data?.peer.lost(),
  error: (socket, error) => socket.data?.peer.lost(error),
};

function attach(socket, handlers) {
  const transport = new BunSocket(socket);
  socket.data = { transport, peer: new FramedPeer(transport, handlers) };
  socket.setNoDelay(true);
  return socket.data.peer;
}

export async function listen({ credentials }, handlers) {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: credentials && { key: credentials.key, cert: credentials.cert },
    socket: { ...callbacks, open: (socket) => void attach(socket, handlers) },
  });
  return { port: listener.port, close: () => listener.stop(true) };
}

export function connect({ port, credentials }) {
  return new Promise((resolve, reject) => {
    const ready = (socket) => resolve(socket.data.peer);
    const opened = credentials
      ? { open: (socket) => void attach(socket, undefined), handshake: ready }
      : {
          open: (socket) => {
            attach(socket, undefined);
            ready(socket);
          },
        };
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      tls: credentials && { ca: credentials.ca, serverName: "localhost" },
      socket: { ...callbacks, ...opened, connectError: (_socket, error) => reject(error) },
    }).catch(reject);
  });
}
