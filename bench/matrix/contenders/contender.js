// What a contender is. A bench process loads exactly one and plays one end of it: the server echoes
// requests and counts one-way messages, the client calls. Sealwire stands behind the same interface as
// its controls.

/**
 * @typedef {object} Handlers
 * @property {(bytes: Uint8Array, start: number, end: number) => void} onMessage a one-way message lies at
 *   bytes[start, end) until the call returns
 * @property {(body: Uint8Array) => Uint8Array | Promise<Uint8Array>} onRequest the body is valid until the
 *   call returns; a promise resolves to bytes of its own
 */

/**
 * @typedef {object} Endpoint
 * @property {number} [port] to connect to
 * @property {{ key: string, cert: string, ca: string }} [credentials] PEM texts, made by the bench
 * @property {string} [variant] for sealwire: which handshake
 */

/**
 * @typedef {object} Connection
 * @property {(body: Uint8Array) => Promise<Uint8Array>} request
 * @property {(body: Uint8Array) => Promise<void>} send resolves when the contender takes the next one
 * @property {(body: Uint8Array) => boolean} sendNoWait false, and nothing sent, above the high-water mark
 * @property {() => Promise<void> | void} close
 */

/**
 * @typedef {object} Contender
 * @property {(endpoint: Endpoint, handlers: Handlers) => Promise<{ port: number, close(): Promise<void> | void }>} listen
 * @property {(endpoint: Endpoint) => Promise<Connection>} connect one connection, usable when it resolves
 */

/** Rows of one contender are told apart by this id everywhere: files, tables, charts. */
export const contenders = [
  { id: "sealwire", label: "sealwire", note: "v2: Noise NNpsk0, AES-256-GCM", encrypted: true },
  { id: "raw", label: "raw TCP", note: "no crypto; same framing, same batching", encrypted: false },
  { id: "tls", label: "TLS 1.3", note: "same framing, same batching as raw TCP", encrypted: true },
  { id: "ws", label: "ws over TLS", note: "the ws package, no compression", encrypted: true },
  { id: "protomux", label: "protomux-rpc", note: "over @hyperswarm/secret-stream", encrypted: true },
  { id: "grpc", label: "grpc-js", note: "@grpc/grpc-js with TLS", encrypted: true },
];

/** Pairs of contender and runtime that cannot run, with the reason to print. */
const cannotRun = new Map([["grpc deno", "grpc-js does not complete a TLS call on Deno's node:http2"]]);

/** @returns {string | undefined} why this contender has no row in this runtime */
export function whyNot(contenderId, runtimeId) {
  return cannotRun.get(`${contenderId} ${runtimeId}`);
}

const modules = {
  sealwire: () => import("./sealwire.js"),
  raw: () => import("./raw.js"),
  tls: () => import("./tls.js"),
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
