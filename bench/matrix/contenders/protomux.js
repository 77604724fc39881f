// Control row: protomux-rpc over @hyperswarm/secret-stream (Noise XX, then libsodium's secretstream) over
// node:net, used as its README shows.
import net from "node:net";
import SecretStream from "@hyperswarm/secret-stream";
import encodings from "compact-encoding";
import ProtomuxRPC from "protomux-rpc";

const options = { valueEncoding: encodings.raw };

export function listen(_endpoint, handlers) {
  const sockets = new Set();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    const stream = new SecretStream(false, socket);
    stream.on("error", () => {});
    stream.on("close", () => sockets.delete(socket));
    const rpc = new ProtomuxRPC(stream, options);
    rpc.respond("request", (body) => handlers.onRequest(body));
    rpc.respond("message", (body) => handlers.onMessage(body, 0, body.length));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
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

export async function connect({ port }) {
  const stream = new SecretStream(true, net.connect({ port, host: "127.0.0.1", noDelay: true }));
  let rejectOpen;
  const failed = new Promise((_resolve, reject) => {
    rejectOpen = reject;
  });
  stream.on("error", (error) => rejectOpen(error));
  const rpc = new ProtomuxRPC(stream, options);
  await Promise.race([rpc.fullyOpened(), failed]);

  // One promise for everybody who waits: the stream says "drained" once.
  let drained;
  const whenDrained = () => {
    drained ??= new Promise((resolve) => {
      stream.once("drain", () => {
        drained = undefined;
        resolve();
      });
    });
    return drained;
  };
  return {
    request: (body) => rpc.request("request", body),
    send: async (body) => {
      rpc.event("message", body);
      if (!rpc.mux.drained) await whenDrained();
    },
    sendNoWait: (body) => {
      if (!rpc.mux.drained) return false;
      rpc.event("message", body);
      return true;
    },
    close: () => stream.destroy(),
  };
}
