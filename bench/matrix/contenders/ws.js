// Control row: the ws package over TLS (in Bun, its own implementation of that package), no compression.
// A message is u32be sequence ‖ body; 0 is one-way.
import { createServer } from "node:https";
import WebSocket, { WebSocketServer } from "ws";

const HEADER_BYTES = 4;
const HIGH_WATER_BYTES = 1 << 20;
const MAX_PAYLOAD_BYTES = 16 << 20;

function message(sequence, body) {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  bytes.writeUInt32BE(sequence, 0);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

export function listen({ credentials }, handlers) {
  const server = createServer({ key: credentials.key, cert: credentials.cert, minVersion: "TLSv1.3" });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: MAX_PAYLOAD_BYTES });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const sequence = data.readUInt32BE(0);
      if (sequence === 0) {
        handlers.onMessage(data, HEADER_BYTES, data.length);
        return;
      }
      const answer = handlers.onRequest(data.subarray(HEADER_BYTES));
      if (answer instanceof Uint8Array) socket.send(message(sequence, answer));
      else answer.then((body) => socket.send(message(sequence, body)));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
      resolve({
        port: server.address().port,
        close: () => {
          for (const socket of sockets.clients) socket.terminate();
          sockets.close();
          server.close();
        },
      }),
    );
  });
}

export function connect({ port, credentials }) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, {
    ca: credentials.ca,
    tls: { ca: credentials.ca }, // Bun's name for the same option
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
  });
  const replies = new Map();
  let nextSequence = 1;
  socket.on("message", (data) => {
    const sequence = data.readUInt32BE(0);
    const resolve = replies.get(sequence);
    replies.delete(sequence);
    resolve(data.subarray(HEADER_BYTES));
  });
  const connection = {
    request: (body) =>
      new Promise((resolve) => {
        const sequence = nextSequence;
        nextSequence = (nextSequence + 2) >>> 0;
        replies.set(sequence, resolve);
        socket.send(message(sequence, body));
      }),
    send: (body) =>
      new Promise((resolve, reject) => {
        socket.send(message(0, body), (error) => (error ? reject(error) : resolve()));
      }),
    sendNoWait: (body) => {
      if (socket.bufferedAmount > HIGH_WATER_BYTES) return false;
      socket.send(message(0, body));
      return true;
    },
    close: () => socket.terminate(),
  };
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(connection));
    socket.once("error", reject);
  });
}
