// capnweb over sealwire: its sessions speak through any transport that carries text in order, and a connection does that.
// Its objects, callbacks and pipelining are capnweb's; who is at the other end, sealwire has proven.
import { RpcSession, RpcTarget } from "capnweb";
import { connect, listen } from "sealwire";

const text = new TextDecoder();
const bytes = new TextEncoder();

/** A connection as a transport of capnweb: one message of its is one one-way message. */
class ConnectionTransport {
  #connection;
  #messages = [];
  #waiting;
  #error;

  constructor(connection) {
    this.#connection = connection;
  }

  send(message) {
    return this.#connection.send(bytes.encode(message));
  }

  receive() {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  abort() {
    void this.#connection.close();
  }

  /** A message arrived. */
  push(body) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#messages.push(text.decode(body));
    else waiting.resolve(text.decode(body));
  }

  /** The connection is over. */
  end(error = new Error("the connection was closed")) {
    this.#error = error;
    this.#waiting?.reject(error);
  }
}

/** The options of one side: each connection that opens gets a session of its own. */
function sessions(onSession, makeMain) {
  const transports = new Map();
  return {
    onMessage: (message) => transports.get(message.connection)?.push(message.body),
    onConnectionState: (connection, state, error) => {
      if (state === "open") {
        const transport = new ConnectionTransport(connection);
        transports.set(connection, transport);
        onSession(new RpcSession(transport, makeMain?.(connection)));
      } else if (state === "closed") {
        transports.get(connection)?.end(error);
        transports.delete(connection);
      }
    },
  };
}

class Counter extends RpcTarget {
  #value = 0;
  add(by) {
    this.#value += by;
    return this.#value;
  }
}

class Api extends RpcTarget {
  greet(name) {
    return `hello ${name}`;
  }
  makeCounter() {
    return new Counter();
  }
  async twice(callback) {
    return [await callback(1), await callback(2)];
  }
}

const psk = crypto.getRandomValues(new Uint8Array(32));
const server = await listen({ port: 0, psk, ...sessions(() => {}, () => new Api()) });

let opened;
const session = new Promise((resolve) => {
  opened = resolve;
});
const client = connect({ port: server.port, psk, maxConnections: 1, ...sessions((one) => opened(one)) });
await client.connected();
const api = (await session).getRemoteMain();

console.log(await api.greet("capnweb"));
const counter = api.makeCounter(); // not awaited: its calls travel with it
console.log([await counter.add(2), await counter.add(3)].join());
console.log((await api.twice((n) => n * 10)).join());

await client.close();
await server.close();
