// The exports of sealwire/testing: connect and listen without sockets, and a pair that is linked already.

import { MemoryAdapter } from "../adapters/memoryAdapter.ts";
import { checkOptionNames, integerOption } from "../base/options.ts";
import { randomBytes } from "../core/random.ts";
import { peerOptionNames } from "../protocol/noise/noiseOptions.ts";
import { type Api, type ClientOptions, createApi, type ServerOptions } from "../rpc/api.ts";
import type { Client } from "../rpc/client.ts";
import type { Connection } from "../rpc/peer.ts";
import type { Server } from "../rpc/serverInterface.ts";

/** Options of `memoryNetwork`. */
export interface MemoryNetworkOptions {
  /** How long everything is on its way, one way, in milliseconds. Default 0. */
  latencyMs?: number;
  /** How fast each side of a connection reads: a slow reader, or a slow line. 0: as fast as it goes. Default 0. */
  bytesPerSecond?: number;
  /** Bytes that one direction of a connection holds before its writer has to wait. Default 262,144. */
  bufferBytes?: number;
}

/**
 * A network in memory, with no sockets, ports or files behind it: `connect` and `listen` are those of the package, with all
 * of their options, on hosts, ports and paths of this network only. The handshake is real, and so is the encryption.
 */
export interface MemoryNetwork extends Api {
  /** Connections that are open or being closed. */
  readonly connections: number;
  /**
   * Cuts every connection, as when a machine restarts. Resolves when both sides know, with how many there were. New ones can
   * be made.
   */
  cut(): Promise<number>;
  /** From now on nothing arrives, on old and new connections, and nobody is told: a peer that hangs, a cable that is out. */
  hold(): void;
  /** What was held arrives. */
  release(): void;
}

const defaultNetwork: Required<MemoryNetworkOptions> = {
  latencyMs: 0,
  bytesPerSecond: 0,
  bufferBytes: 262_144,
};
const MOST = 0x7fffffff;
const LONGEST_LATENCY_MS = 60_000;

/**
 * A network for tests.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  checkOptionNames(options, Object.keys(defaultNetwork));
  const { latencyMs, bytesPerSecond, bufferBytes } = { ...defaultNetwork, ...options };
  const adapter = new MemoryAdapter({
    latencyMs: integerOption("latencyMs", latencyMs, 0, LONGEST_LATENCY_MS),
    bytesPerSecond: integerOption("bytesPerSecond", bytesPerSecond, 0, MOST),
    bufferBytes: integerOption("bufferBytes", bufferBytes, 1, MOST),
  });
  const { connect, listen } = createApi(adapter);
  return Object.freeze({
    connect,
    listen,
    get connections() {
      return adapter.connections;
    },
    cut: () => adapter.cut(),
    hold: () => adapter.hold(),
    release: () => adapter.release(),
  });
}

/** Options that say where a server is: `linkedPair` sets them itself. */
export type AddressOption =
  | "host"
  | "port"
  | "path"
  | "fd"
  | "reusePort"
  | "endpoints"
  | "resolve"
  | "resolveSrv";

/** Options of `linkedPair`. */
export interface LinkedPairOptions {
  /** Options of `connect`, but for the address. Default: one connection at most. */
  client?: Omit<ClientOptions, AddressOption>;
  /** Options of `listen`, but for the address. */
  server?: Omit<ServerOptions, AddressOption>;
  /** How the network between them behaves. */
  network?: MemoryNetworkOptions;
}

/** A client and a server that are connected. */
export interface LinkedPair {
  /** It has one connection, which is open. */
  readonly client: Client;
  /** It has the same connection's other end. */
  readonly server: Server;
  /** The server's end of the connection: what its handlers see as `message.connection`, for calls to the client. */
  readonly connection: Connection;
  /** The network between them. */
  readonly network: MemoryNetwork;
  /** Closes the client, then the server. */
  close(): Promise<void>;
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

const PORT = 1;
const OWN_PSK_BYTES = 32;

/** Whether options say anything about keys. */
function hasKeys(options: object): boolean {
  return [...peerOptionNames, "handshake"].some((name) => Object.hasOwn(options, name));
}

/**
 * A client and a server of their own network, connected. Where neither's options have keys, both get a random psk, so
 * that each is authenticated to the other.
 *
 * @throws SealwireError as rejections: what `memoryNetwork`, `listen`, `connect` and `Client.connected` throw
 */
export async function linkedPair(options: LinkedPairOptions = {}): Promise<LinkedPair> {
  checkOptionNames(options, ["client", "server", "network"]);
  const { client: clientOptions = {}, server: serverOptions = {} } = options;
  const keys = hasKeys(clientOptions) || hasKeys(serverOptions) ? {} : { psk: randomBytes(OWN_PSK_BYTES) };
  const network = memoryNetwork(options.network);
  let resolve!: (connection: Connection) => void;
  let reject!: (error: unknown) => void;
  const opened = new Promise<Connection>((...settle) => {
    [resolve, reject] = settle;
  });
  // Told by the client as well, which is asked first.
  opened.catch(() => {});
  const server = await network.listen({
    ...keys,
    ...serverOptions,
    port: PORT,
    onConnectionState(connection, state, error) {
      if (state === "open") resolve(connection);
      if (state === "closed") reject(error);
      return serverOptions.onConnectionState?.(connection, state, error);
    },
  });
  const client = network.connect({ maxConnections: 1, ...keys, ...clientOptions, port: server.port });
  const close = async (): Promise<void> => {
    await client.close();
    await server.close();
  };
  const ready = async (): Promise<Connection> => {
    await client.connected();
    return opened;
  };
  const connection = await ready().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { client, server, connection, network, close, [Symbol.asyncDispose]: close };
}
