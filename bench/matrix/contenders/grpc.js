// Control row: @grpc/grpc-js over TLS. Requests are unary calls, and one-way messages use one client stream. Bodies are
// passed as bytes, without protobuf. A stream of the bench is a call that streams both ways: its first message is the
// order, and the last message of an upload's answer is the report.
import grpc from "@grpc/grpc-js";

const bytes = {
  serialize: (body) => Buffer.from(body.buffer, body.byteOffset, body.length),
  parse: (body) => body,
};

function method(path, requestStream, responseStream = false) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.parse,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.parse,
  };
}

const service = {
  Request: method("/bench.Bench/Request", false),
  Messages: method("/bench.Bench/Messages", true),
  Stream: method("/bench.Bench/Stream", true, true),
};
const limits = { "grpc.max_receive_message_length": 16 << 20, "grpc.max_send_message_length": 16 << 20 };
// Newer runtimes refuse an address as TLS server name, and grpc-js would pass 127.0.0.1.
const channelOptions = { ...limits, "grpc.ssl_target_name_override": "localhost" };

/** Writes, and resolves when the next one has room; undefined where there is room already. */
function writeOrWait(call, body) {
  if (call.write(body)) return undefined;
  return new Promise((resolve) => call.once("drain", resolve));
}

function serveStream(call, handlers) {
  let stream;
  call.on("data", async (body) => {
    if (stream !== undefined) {
      stream.take(body);
      return;
    }
    stream = handlers.openStream(body);
    for (const item of stream.items()) await writeOrWait(call, item);
    if (stream.count > 0) call.end();
  });
  call.on("end", () => {
    if (stream.count > 0) return;
    call.write(stream.report());
    call.end();
  });
  call.on("error", () => {});
}

export function listen({ credentials }, handlers) {
  const server = new grpc.Server(limits);
  server.addService(service, {
    Request: async (call, callback) => callback(null, await handlers.onRequest(call.request)),
    Messages: (call, callback) => {
      call.on("data", (body) => handlers.onMessage(body, 0, body.length));
      call.on("end", () => callback(null, new Uint8Array(0)));
      call.on("error", () => {});
    },
    Stream: (call) => serveStream(call, handlers),
  });
  const tls = grpc.ServerCredentials.createSsl(
    null,
    [{ private_key: Buffer.from(credentials.key), cert_chain: Buffer.from(credentials.cert) }],
    false,
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", tls, (error, port) => {
      if (error) reject(error);
      else resolve({ port, close: () => server.forceShutdown() });
    });
  });
}

export function connect({ port, credentials }) {
  const Client = grpc.makeGenericClientConstructor(service, "Bench");
  const trust = grpc.credentials.createSsl(Buffer.from(credentials.ca));
  const client = new Client(`127.0.0.1:${port}`, trust, channelOptions);
  const messages = client.Messages(() => {});
  messages.on("error", () => {});
  let room = true;
  let drained;
  const whenDrained = () => {
    drained ??= new Promise((resolve) => {
      messages.once("drain", () => {
        drained = undefined;
        room = true;
        resolve();
      });
    });
    return drained;
  };
  const connection = {
    request: (body) =>
      new Promise((resolve, reject) => {
        client.Request(body, (error, reply) => (error ? reject(error) : resolve(reply)));
      }),
    send: async (body) => {
      room = messages.write(body);
      if (!room) await whenDrained();
    },
    sendNoWait: (body) => {
      if (!room) return false;
      room = messages.write(body);
      return true;
    },
    upload: (order) => {
      const call = client.Stream();
      const report = new Promise((resolve, reject) => {
        call.on("data", resolve);
        call.on("error", reject);
      });
      call.write(order);
      return {
        write: (item) => writeOrWait(call, item),
        end: () => {
          call.end();
          return report;
        },
      };
    },
    download: (order) => {
      const call = client.Stream();
      call.write(order);
      call.end();
      return call;
    },
    close: () => client.close(),
  };
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve(connection)));
  });
}
