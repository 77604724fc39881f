// connect and listen: checks options once, then makes a client or a server on the runtime's adapter.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { loadPart } from "../base/loadPart.ts";
import {
  type ConnectionLimits,
  functionOption,
  integerOption,
  limitNames,
  type ResolvedLimits,
  readOptions,
  resolveLimits,
} from "../base/options.ts";
import { type Engine, engines } from "../core/engine.ts";
import { startCore } from "../core/wasmModule.ts";
import type { HandshakeFactory, Role } from "../protocol/handshake.ts";
import type { KeyInput } from "../protocol/noise/keys.ts";
import { type AnonymousOptions, type PeerOptions, peerOptionNames } from "../protocol/noise/noiseOptions.ts";
import type { OtherKeys } from "../protocol/noise/severalKeys.ts";
import { BASE_SETTINGS, MAX_FRAME_BYTES } from "../protocol/settings.ts";
import { TAG_BYTES } from "../protocol/wire.ts";
import { resolveAddress } from "./addressOption.ts";
import type { AdmissionOptions } from "./admissionLimits.ts";
import { type Client, RpcClient } from "./client.ts";
import type { ConnectionContext } from "./context.ts";
import { createEndpointsClient } from "./endpointKeys.ts";
import {
  type EndpointSource,
  type EndpointsOptions,
  endpointsOptionNames,
  resolveEndpointsOptions,
} from "./endpointOptions.ts";
import { HandlerBudget } from "./handlerBudget.ts";
import { ConsoleReport } from "./listeners.ts";
import type { ConnectionStateListener, Message, MessageHandler } from "./peer.ts";
import { reloadableKeys, resolveHandshake } from "./peerKeys.ts";
import { RoundRobin } from "./roundRobin.ts";
import type { Server } from "./serverInterface.ts";
import { serverOptionNames } from "./serverOptionNames.ts";
import type { ServingOptions } from "./servingOptions.ts";
import type { StickyClient } from "./stickyClient.ts";
import type { Adapter } from "./transport.ts";
import { TurnQueue } from "./turnQueue.ts";

/** The options that clients and servers have in common. */
export interface CommonOptions extends ConnectionLimits, PeerOptions {
  /** TCP host. Default "127.0.0.1". */
  host?: string;
  /** TCP port. A server with port 0 takes a free port. */
  port?: number;
  /** A Unix socket instead of `host` and `port`. */
  path?: string;
  /** The handler of messages, requests and calls. Without it, requests of the peer are answered with an error. */
  onMessage?: MessageHandler;
  /**
   * "copy" (default): a handler may keep its body. "view": bodies are views of a shared buffer, valid only until the
   * handler returns; this saves a copy and an object per message.
   */
  messageBodies?: "copy" | "view";
  /**
   * The most handlers that have returned a promise and still run, over all connections, including closed ones. At the
   * limit no connection takes more. (`maxConcurrentHandlers` is the limit of one connection.) Default 16,384.
   */
  maxHandlers?: number;
  /**
   * Called when a connection opens, drains or closes, with the reason. An error that it throws or rejects with goes to
   * `console.error`.
   */
  onConnectionState?: ConnectionStateListener;
  /**
   * Called with the error that a handler threw or rejected with. Default: console.error, a few lines a second at most.
   * An error that this function throws or rejects with goes to console.error, too.
   */
  onHandlerError?: (error: unknown, message: Message) => void;
  /**
   * Sends the messages of handlers' errors to the callers (protocol v2). A message may contain something that a caller
   * should not know. Without this option the caller gets only the error's `code`. Default false.
   */
  exposeErrorMessages?: boolean;
  /** Sends the stacks of handlers' errors to the callers (protocol v2). For development only. Default false. */
  exposeStacks?: boolean;
  /**
   * A key exchange in place of protocol v2 with `psk`, `staticKey`, `remoteStatic`, `authorize`, `pattern`,
   * `postQuantum`, `cipher` and `prologue`, e.g. `monteV1()`. The caller owns it and may share it.
   */
  handshake?: HandshakeFactory;
  /**
   * Forces one engine of the cipher; "auto" (default) chooses the fastest by size. "wasm" computes everything in the
   * module. For ChaChaPoly, an engine that it lacks ("keystream", in Bun "native") means "auto".
   */
  engine?: Engine;
}

/** Options of `connect`. */
export interface ClientOptions extends CommonOptions, EndpointsOptions {
  /** The most connections to the server. Another one is dialled only when all are busy. Default 4. */
  maxConnections?: number;
  /** From the first packet to the open socket. 0: the operating system's limit. Default 5,000. */
  dialTimeoutMs?: number;
  /** The client dials at once, and again with growing pauses whenever the last connection is lost. Default false. */
  keepConnected?: boolean;
  /**
   * Up to three psks that the server may have besides `psk`, to change it without an outage. All are tried if the
   * server uses its psk first: with `staticKey` and one `remoteStatic` (IKpsk2). In other patterns the server tries
   * several psks.
   */
  otherPsks?: readonly KeyInput[];
}

/** Options of `listen`. */
export interface ServerOptions extends CommonOptions, AdmissionOptions, ServingOptions, OtherKeys {}

const commonNames = [
  ...limitNames,
  ...peerOptionNames,
  "host",
  "port",
  "path",
  "onMessage",
  "messageBodies",
  "maxHandlers",
  "onConnectionState",
  "onHandlerError",
  "exposeErrorMessages",
  "exposeStacks",
  "handshake",
  "engine",
];
/** The names of `ClientOptions`. */
export const clientNames: readonly string[] = [
  ...commonNames,
  ...endpointsOptionNames,
  "maxConnections",
  "dialTimeoutMs",
  "keepConnected",
  "otherPsks",
];
/** The names of `ServerOptions`. */
export const serverNames: readonly string[] = [...commonNames, ...serverOptionNames];
const MAX_HANDLERS = 16_777_216;
const DEFAULT_HOST = "127.0.0.1";

function booleanOption(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== "boolean") throw invalidArgument(name, "a boolean");
  return value ?? false;
}

const handlerErrors = new ConsoleReport("sealwire: a message handler failed");
const reportHandlerError = (error: unknown): void => handlerErrors.say(error);

/** A plaintext is padded to a multiple of `padding`, which must fit into a frame. */
function checkPadding(limits: ResolvedLimits): ResolvedLimits {
  const most = limits.maxFrameBytes - TAG_BYTES;
  if (limits.padding <= most) return limits;
  throw invalidArgument("padding", `at most maxFrameBytes - ${TAG_BYTES} (${most})`);
}

/** Protocol v2 accepts frames of 64 KiB from every peer, and none above 32 MiB; a longer body needs a stream. */
function checkV2Limits({ maxFrameBytes }: ResolvedLimits): void {
  integerOption("maxFrameBytes", maxFrameBytes, BASE_SETTINGS.maxFrameBytes, MAX_FRAME_BYTES);
}

/** The queues that all clients and servers on one runtime's sockets share. */
interface Queues {
  readonly flushes: TurnQueue;
  readonly resumptions: TurnQueue;
  readonly rounds: RoundRobin;
}

function resolveContext(role: Role, options: CommonOptions, queues: Queues): ConnectionContext {
  const { messageBodies = "copy", engine = "auto", maxHandlers = 16_384 } = options;
  if (messageBodies !== "copy" && messageBodies !== "view")
    throw invalidArgument("messageBodies", '"copy" or "view"');
  if (!engines.includes(engine)) throw invalidArgument("engine", `one of ${engines.join(", ")}`);
  const { path, host = DEFAULT_HOST, port } = options;
  const context = {
    limits: checkPadding(resolveLimits(options)),
    dialledAddress: role === "client" ? (path ?? `${host}:${port}`) : undefined,
    engine,
    onMessage: functionOption("onMessage", options.onMessage),
    bodyViews: messageBodies === "view",
    exposeErrorMessages: booleanOption("exposeErrorMessages", options.exposeErrorMessages),
    exposeStacks: booleanOption("exposeStacks", options.exposeStacks),
    onHandlerError: functionOption("onHandlerError", options.onHandlerError) ?? reportHandlerError,
    handlerBudget: new HandlerBudget(integerOption("maxHandlers", maxHandlers, 1, MAX_HANDLERS)),
    ...queues,
  };
  // Last, so that a mistake in another option leaves no keys behind.
  const handshake = resolveHandshake(role, options);
  const wipeKeys = (): void => {
    if (options.handshake === undefined) handshake.destroy?.();
  };
  try {
    if (handshake.format.header === "kind") checkV2Limits(context.limits);
    // Who asks for padding wants lengths hidden, and must not send them in the clear instead.
    else if (context.limits.padding > 0) throw invalidArgument("padding", "left out with protocol v1");
  } catch (error) {
    wipeKeys();
    throw error;
  }
  return { ...context, handshake, wipeKeys };
}

/** Options that do not identify the peer: the connection is private, but the peer is unknown. */
export type Anonymous<Options> = Options & AnonymousOptions & { handshake?: undefined };
/** A client whose server could be anyone. */
export type AnonymousClient = Client & { readonly anonymous: true };
/** A server whose clients could be anyone, and which could be anyone to them. */
export type AnonymousServer = Server & { readonly anonymous: true };

/** The exports of an entry point: `connect` and `listen` on the sockets of a runtime. */
export interface Api {
  /**
   * A client of the server at `host`:`port` or `path`. Returns at once; the first call (or `keepConnected`) dials.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT naming the option.
   */
  connect(options: Anonymous<ClientOptions>): AnonymousClient;
  /** A client of several equivalent servers. */
  connect(options: ClientOptions & Required<Pick<EndpointsOptions, "endpoints">>): StickyClient;
  /** A client whose options may identify the server. */
  connect(options: ClientOptions): Client;
  /**
   * Starts a server and resolves when it listens.
   *
   * @throws SealwireError as rejections: ERR_INVALID_ARGUMENT naming the option, ERR_LISTEN_FAILED, ERR_UNSUPPORTED
   * (the runtime or system lacks the feature, or the part of the package for servers is missing).
   */
  listen(options: Anonymous<ServerOptions>): Promise<AnonymousServer>;
  /** A server whose options may identify the clients. */
  listen(options: ServerOptions): Promise<Server>;
}

function resolveSource(adapter: Adapter, options: ClientOptions): EndpointSource {
  const unsupported = () => new SealwireError("ERR_UNSUPPORTED", "such names can't be resolved here");
  return resolveEndpointsOptions(options, {
    resolve: (host) => adapter.resolve?.(host) ?? Promise.reject(unsupported()),
    resolveSrv: (name) => adapter.resolveService?.(name) ?? Promise.reject(unsupported()),
  });
}

async function listen(adapter: Adapter, given: ServerOptions, queues: Queues): Promise<Server> {
  startCore();
  const options = readOptions(given, serverNames);
  const common = { adapter, ...reloadableKeys(options), ...resolveContext("server", options, queues) };
  const { startServer } = await loadPart("servers", () => import("./serverStart.ts")).catch((error) => {
    common.wipeKeys();
    throw error;
  });
  return startServer(options, common);
}

/** `connect` and `listen` on one runtime's sockets. */
export function createApi(adapter: Adapter): Api {
  const queues = {
    flushes: new TurnQueue(adapter),
    resumptions: new TurnQueue(adapter),
    rounds: new RoundRobin(adapter),
  };
  return {
    connect(given: ClientOptions): Client {
      startCore();
      const options = readOptions(given, clientNames);
      const { maxConnections = 4, dialTimeoutMs = 5_000, endpoints } = options;
      for (const name of ["resolve", "resolveSrv"] as const)
        if (options[name] !== undefined && endpoints === undefined)
          throw invalidArgument(name, "given with endpoints");
      const several = endpoints === undefined ? undefined : resolveSource(adapter, options);
      const own = {
        adapter,
        maxConnections: integerOption("maxConnections", maxConnections, 1, 65_536),
        dialTimeoutMs: integerOption("dialTimeoutMs", dialTimeoutMs, 0, 0x7fffffff),
        keepConnected: booleanOption("keepConnected", options.keepConnected),
        onConnectionState: functionOption("onConnectionState", options.onConnectionState),
      };
      if (several !== undefined)
        return createEndpointsClient(several, options, {
          ...own,
          ...resolveContext("client", options, queues),
        });
      const address = resolveAddress(options, 1);
      return new RpcClient({ ...own, address, ...resolveContext("client", options, queues) });
    },
    listen: (options: ServerOptions): Promise<Server> => listen(adapter, options, queues),
  } as Api; // the overloads only give `anonymous` its type
}
