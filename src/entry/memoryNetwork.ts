// The exports of sealwire/testing: connect and listen without sockets, and a pair that is linked already.

import { MemoryAdapter } from "../adapters/memoryAdapter.ts";
import { integerOption, readOptions } from "../base/options.ts";
import { randomBytes } from "../core/random.ts";
import { peerOptionNames } from "../protocol/noise/noiseOptions.ts";
import {
  type Api,
  type ClientOptions,
  clientNames,
  createApi,
  type ServerOptions,
  serverNames,
} from "../rpc/api.ts";
import type { Client } from "../rpc/client.ts";
import type { Connection } from "../rpc/peer.ts";
import type { Server } from "../rpc/serverInterface.ts";

/** Options of `memoryNetwork`. */
export interface MemoryNetworkOptions {
  /** The delay of all bytes in one direction, in milliseconds. Default 0. */
  latencyMs?: number;
  /**
   * How fast each side of a connection reads, like a slow reader or a slow line. 0: without a limit. Default
   * 0.
   */
  bytesPerSecond?: number;
  /** Bytes that one direction of a connection holds before its writer has to wait. Default 262,144. */
  bufferBytes?: number;
}

/**
 * A network in memory, without sockets, ports or files. Its `connect` and `listen` take all options of the
 * package's `connect` and `listen`, on hosts, ports and paths of this network only. The handshake and the
 * encryption are the real ones.
 */
export interface MemoryNetwork extends Api {
  /** Connections that are open or closing. */
  readonly connections: number;
  /**
   * Cuts every connection, as when a machine restarts. Resolves when both sides know, with the number of
   * connections that were cut. New connections can be made.
   */
  cut(): Promise<number>;
  /**
   * From now on nothing arrives on any connection, and neither side notices. It acts like a peer that hangs
   * or a cable that is unplugged.
   */
  hold(): void;
  /** The held bytes arrive. */
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
  const given = readOptions(options, Object.keys(defaultNetwork));
  const { latencyMs, bytesPerSecond, bufferBytes } = { ...defaultNetwork, ...given };
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

/** The options that say where a server is. `linkedPair` sets them itself. */
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
  /** Options of `connect` without the address. Default: one connection at most. */
  client?: Omit<ClientOptions, AddressOption>;
  /** Options of `listen` without the address. */
  server?: Omit<ServerOptions, AddressOption>;
  /** How the network between them behaves. */
  network?: MemoryNetworkOptions;
}

/** A connected client and server. */
export interface LinkedPair {
  /** The client, with one open connection. */
  readonly client: Client;
  /** The server, with the other end of that connection. */
  readonly server: Server;
  /**
   * The server's end of the connection, which its handlers see as `message.connection`. It calls the client.
   */
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
 * Makes a client and a server on a network of their own and connects them. If neither side's options have
 * keys, both get a random psk, so that each is authenticated to the other.
 *
 * @throws SealwireError as rejections: the errors of `memoryNetwork`, `listen`, `connect` and
 * `Client.connected`
 */
export async function linkedPair(options: LinkedPairOptions = {}): Promise<LinkedPair> {
  const given = readOptions(options, ["client", "server", "network"]);
  const clientOptions = readOptions<Partial<ClientOptions>>(given.client ?? {}, clientNames);
  const serverOptions = readOptions<Partial<ServerOptions>>(given.server ?? {}, serverNames);
  const keys = hasKeys(clientOptions) || hasKeys(serverOptions) ? {} : { psk: randomBytes(OWN_PSK_BYTES) };
  const network = memoryNetwork(given.network);
  let resolve!: (connection: Connection) => void;
  let reject!: (error: unknown) => void;
  const opened = new Promise<Connection>((...settle) => {
    [resolve, reject] = settle;
  });
  // The client reports the failure as well, and it is awaited first.
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
  let client: Client | undefined;
  const close = async (): Promise<void> => {
    await client?.close();
    await server.close();
  };
  try {
    client = network.connect({ maxConnections: 1, ...keys, ...clientOptions, port: server.port });
    await client.connected();
    const connection = await opened;
    return { client, server, connection, network, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
