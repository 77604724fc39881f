// The interface of a contender. A bench process loads exactly one contender and plays one end of it: the server echoes
// requests and counts one-way messages, the client calls. Sealwire has the same interface as its controls.

/**
 * @typedef {object} Handlers
 * @property {(bytes: Uint8Array, start: number, end: number) => void} onMessage a one-way message lies at
 *   bytes[start, end) until the call returns
 * @property {(body: Uint8Array) => Uint8Array | Promise<Uint8Array>} onRequest the body is valid until the
 *   call returns; a promise resolves to bytes of its own
 * @property {(body: Uint8Array) => FarStream | undefined} openStream the stream that the body of a call orders;
 *   undefined where it is a request. The body is read before it returns
 */

/**
 * @typedef {object} FarStream
 * @property {() => Iterable<Uint8Array>} items what the server sends, first
 * @property {(item: Uint8Array) => void} take what the client sends, then
 * @property {() => Uint8Array} report the end of a stream that the client sends
 */

/**
 * @typedef {object} Endpoint
 * @property {number} [port] to connect to
 * @property {{ key: string, cert: string, ca: string }} [credentials] PEM texts, made by the bench
 * @property {string} [variant] for sealwire: which handshake
 * @property {string} [dist] for sealwire: path of a folder with a build, instead of this checkout's
 * @property {object} [options] for sealwire: further options of this end
 */

/**
 * @typedef {object} Connection
 * @property {(body: Uint8Array) => Promise<Uint8Array>} request
 * @property {(body: Uint8Array) => Promise<void>} send resolves when the contender takes the next one
 * @property {(body: Uint8Array) => boolean} sendNoWait false, and nothing sent, above the high-water mark
 * @property {(order: Uint8Array) => Upload} [upload] a stream of its own to the server, where there are streams
 * @property {(order: Uint8Array) => AsyncIterable<Uint8Array>} [download] one from it
 * @property {() => Promise<void> | void} close
 */

/**
 * @typedef {object} Upload
 * @property {(item: Uint8Array) => Promise<void> | undefined} write as the contender's users wait: for the promise, or
 *   not at all where there is none
 * @property {() => Promise<Uint8Array>} end resolves with the server's report when it has all items
 */

/**
 * @typedef {object} Contender
 * @property {(endpoint: Endpoint, handlers: Handlers) => Promise<{ port: number, close(): Promise<void> | void }>} listen
 * @property {(endpoint: Endpoint) => Promise<Connection>} connect one connection, usable when it resolves
 * @property {(endpoint: Endpoint, count: number) => Promise<Connection>} [connectPool] one client with so many
 *   connections, each dialled because the others were busy
 */

/** Rows of one contender are told apart by this id everywhere: files, tables, charts. */
export const contenders = [
  {
    id: "sealwire",
    label: "sealwire",
    note: "v2: Noise NNhfs+psk0, AES-256-GCM; defaults, bodies are copies to keep",
    encrypted: true,
  },
  {
    id: "sealwire-views",
    label: "sealwire, views",
    note: 'the same with messageBodies: "view", which is not the default: no copy of what arrives',
    encrypted: true,
  },
  {
    id: "sealwire-chacha",
    label: "sealwire, ChaCha",
    note: 'the defaults with cipher: "ChaChaPoly"',
    encrypted: true,
  },
  {
    id: "sealwire-wasm",
    label: "sealwire, wasm",
    note: 'the defaults with engine: "wasm": the module alone, without the runtime\'s AES',
    encrypted: true,
  },
  {
    id: "sealwire-unbundled",
    label: "sealwire, no bundles",
    note: "the defaults with bundleBytes: 0: every message in a frame of its own",
    encrypted: true,
  },
  { id: "raw", label: "raw TCP", note: "no crypto; same framing, same batching", encrypted: false },
  { id: "tls", label: "TLS 1.3", note: "same framing, same batching as raw TCP", encrypted: true },
  { id: "tls-node", label: "TLS 1.3, node:tls", note: "the same through Deno's node:tls", encrypted: true },
  { id: "ws", label: "ws over TLS", note: "the ws package, no compression", encrypted: true },
  { id: "protomux", label: "protomux-rpc", note: "over @hyperswarm/secret-stream", encrypted: true },
  { id: "grpc", label: "grpc-js", note: "@grpc/grpc-js with TLS", encrypted: true },
];

// Deno's own TLS has no setNoDelay on accepted connections, so that Nagle's algorithm and delayed
// acknowledgements stop pipelined replies for 40 ms now and then; its node:tls has no such stop but is slower
// one-way. Both run; a comparison with TLS takes the faster of the two.
const onlyIn = { "tls-node": "deno" };
const cannotRun = { grpc: { deno: "grpc-js does not complete a call over TLS on Deno" } };

/** False where a contender has no row in this runtime by design. */
export function belongsTo(contenderId, runtimeId) {
  return onlyIn[contenderId] === undefined || onlyIn[contenderId] === runtimeId;
}

/** @returns {string | undefined} why this contender cannot run in this runtime */
export function whyNot(contenderId, runtimeId) {
  return cannotRun[contenderId]?.[runtimeId];
}

const modules = {
  sealwire: () => import("./sealwire.js"),
  "sealwire-views": () => import("./sealwireViews.js"),
  "sealwire-chacha": () => import("./sealwireChacha.js"),
  "sealwire-wasm": () => import("./sealwireWasm.js"),
  "sealwire-unbundled": () => import("./sealwireUnbundled.js"),
  raw: () => import("./raw.js"),
  tls: () => import("./tls.js"),
  "tls-node": () => import("./tlsNode.js"),
  ws: () => import("./ws.js"),
  protomux: () => import("./protomux.js"),
  grpc: () => import("./grpc.js"),
};

/** @returns {Promise<Contender>} */
export function loadContender(id) {
  const load = modules[id];
  if (load === undefined) throw new Error(`no contender named ${id}`);
  return load();
}
