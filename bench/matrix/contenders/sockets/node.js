// Node: node:net and node:tls under a FramedPeer.
import net from "node:net";
import tls from "node:tls";
import { FramedPeer } from "../framedPeer.js";
import { giveBack } from "./giveBack.js";

// One buffer for all connections: what is read is parsed before the next read.
const readBuffer = new Uint8Array(65_536);

class NodeSocket {
  constructor(socket, encrypted) {
    this.socket = socket;
    this.encrypted = encrypted;
    this.writesInFlight = encrypted ? 16 : 1;
    this.finished = 0;
    this.done = undefined;
    this.onFlushed = this.onFlushed.bind(this);
  }

  // After a plain socket's write(), writableLength 0 means that the kernel has everything and the memory
  // is free; the callback, which comes a tick later, then has nothing left to say. A TLS socket keeps what
  // it has not encrypted yet, so there only the callback counts.
  write(bytes, length, done) {
    this.done = done;
    const view = length === bytes.length ? bytes : bytes.subarray(0, length);
    this.socket.write(view, this.onFlushed);
    if (!this.encrypted && this.socket.writableLength === 0) {
      this.finished += 1;
      done();
    }
  }

  onFlushed(error) {
    if (error) return;
    if (this.finished > 0) this.finished -= 1;
    else this.done();
  }

  endOfTurn(task) {
    process.nextTick(task);
  }

  close() {
    this.socket.destroy();
  }
}

function tlsOptions(credentials) {
  return { minVersion: "TLSv1.3", ciphers: "TLS_AES_256_GCM_SHA384", ...credentials };
}

export function listen({ credentials }, handlers) {
  const sockets = new Set();
  const onConnection = (socket) => {
    sockets.add(socket);
    const peer = new FramedPeer(new NodeSocket(socket, credentials !== undefined), handlers);
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      peer.receive(chunk);
      giveBack(chunk);
    });
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const server =
    credentials === undefined
      ? net.createServer({ noDelay: true }, onConnection)
      : tls.createServer({ ...tlsOptions({ key: credentials.key, cert: credentials.cert }) }, onConnection);
  server.on("tlsClientError", () => {});
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
      resolve({
        port: server.address().port,
        close: () => {
          for (const socket of sockets) socket.destroy();
          server.close();
        },
      }),
    );
  });
}

export function connect({ port, credentials }) {
  return new Promise((resolve, reject) => {
    let peer;
    const onread = {
      buffer: readBuffer,
      callback: (count, buffer) => {
        peer.receive(count === buffer.length ? buffer : buffer.subarray(0, count));
        return true;
      },
    };
    const options = { port, host: "127.0.0.1", noDelay: true, onread };
    const socket =
      credentials === undefined
        ? net.connect(options)
        : tls.connect({ ...options, ...tlsOptions({ ca: credentials.ca }) });
    peer = new FramedPeer(new NodeSocket(socket, credentials !== undefined), undefined);
    socket.setNoDelay(true); // tls.connect does not take it as an option
    socket.once(credentials === undefined ? "connect" : "secureConnect", () => resolve(peer));
    socket.on("error", (error) => {
      peer.lost(error);
      reject(error);
    });
    socket.on("close", () => peer.lost());
  });
}
