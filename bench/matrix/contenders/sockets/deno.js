// Deno: Deno.listen and Deno.connect, or their TLS forms, under a FramedPeer.
import { FramedPeer } from "../framedPeer.js";

const READ_BUFFER_BYTES = 65_536;

class DenoSocket {
  constructor(connection) {
    this.connection = connection;
    this.writesInFlight = 1;
  }

  async write(bytes, length, done) {
    let offset = 0;
    try {
      while (offset < length) {
        const taken = await this.connection.write(bytes.subarray(offset, length));
        if (taken === 0) throw new Error("write took nothing");
        offset += taken;
      }
    } catch {
      return; // the read loop sees the same end and reports it
    }
    done();
  }

  endOfTurn(task) {
    queueMicrotask(task);
  }

  close() {
    try {
      this.connection.close();
    } catch {
      // closed by the other end already
    }
  }
}

async function readLoop(connection, peer) {
  const buffer = new Uint8Array(READ_BUFFER_BYTES);
  let failure;
  try {
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null || count === 0) break;
      peer.receive(count === buffer.length ? buffer : buffer.subarray(0, count));
    }
  } catch (error) {
    failure = error;
  }
  peer.lost(failure);
}

export async function listen({ credentials }, handlers) {
  const address = { hostname: "127.0.0.1", port: 0 };
  const listener =
    credentials === undefined
      ? Deno.listen(address)
      : Deno.listenTls({ ...address, key: credentials.key, cert: credentials.cert });
  const connections = new Set();
  (async () => {
    for await (const connection of listener) {
      connection.setNoDelay?.(true);
      connections.add(connection);
      const peer = new FramedPeer(new DenoSocket(connection), handlers);
      readLoop(connection, peer).finally(() => connections.delete(connection));
    }
  })().catch(() => {});
  return {
    port: listener.addr.port,
    close: () => {
      for (const connection of connections) new DenoSocket(connection).close();
      listener.close();
    },
  };
}

export async function connect({ port, credentials }) {
  let connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  if (credentials !== undefined) {
    // Not Deno.connectTls: its connection has no setNoDelay, and Nagle's algorithm costs 40 ms here and there.
    connection = await Deno.startTls(connection, { hostname: "127.0.0.1", caCerts: [credentials.ca] });
    await connection.handshake();
  }
  const peer = new FramedPeer(new DenoSocket(connection), undefined);
  readLoop(connection, peer);
  return peer;
}
