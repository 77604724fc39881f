// The exports of every runtime's entry point in addition to `connect` and `listen`.

export { type ErrorCode, SealwireError } from "../base/errors.ts";
export type { ConnectionLimits, PeerIdentity } from "../base/options.ts";
export type { Engine } from "../core/engine.ts";
export type { NonceLayout } from "../core/nonceCounter.ts";
export { type KnownPeers, knownPeers } from "../peers/knownPeers.ts";
export type {
  FirstUse,
  KnownPeer,
  KnownPeerMarker,
  KnownPeersOptions,
} from "../peers/knownPeersOptions.ts";
export type {
  CipherName,
  Handshake,
  HandshakeFactory,
  HandshakeInfo,
  HandshakeResult,
  Role,
  TransportFormat,
} from "../protocol/handshake.ts";
export type { CallHead } from "../protocol/head.ts";
export type { KeyPair } from "../protocol/noise/dh.ts";
export { encodeKey, generateKeyPair, type KeyInput } from "../protocol/noise/keys.ts";
export { type NoiseFactory, noise } from "../protocol/noise/noiseFactory.ts";
export type { Authorize, AuthorizeInfo, NoiseOptions, PeerOptions } from "../protocol/noise/noiseOptions.ts";
export type { OtherKeys } from "../protocol/noise/severalKeys.ts";
export { type MonteV1Options, monteV1 } from "../protocol/v1.ts";
export type { AdmissionOptions } from "../rpc/admissionLimits.ts";
export type {
  Anonymous,
  AnonymousClient,
  AnonymousServer,
  Api,
  ClientOptions,
  CommonOptions,
  ServerOptions,
} from "../rpc/api.ts";
export type { Client, ClientStats } from "../rpc/client.ts";
export type { ConnectedOptions } from "../rpc/connectedWithin.ts";
export type { ConnectionTotals } from "../rpc/connectionStats.ts";
export type {
  Endpoint,
  EndpointsOptions,
  FindEndpoints,
  ResolveName,
  ResolveService,
} from "../rpc/endpointOptions.ts";
export type { EndpointState, EndpointStats } from "../rpc/endpointStats.ts";
export type { Health, HealthListener } from "../rpc/health.ts";
export { type ProcessLimits, setProcessLimits } from "../rpc/memoryBudget.ts";
export type {
  Call,
  CallOptions,
  Connection,
  ConnectionState,
  ConnectionStateListener,
  ConnectionStats,
  Message,
  MessageHandler,
  RequestOptions,
  SendOptions,
} from "../rpc/peer.ts";
export type { CloseOptions, ReloadedKeys, Server, ServerStats } from "../rpc/serverInterface.ts";
export type { ProxyProtocolOptions, ServingOptions } from "../rpc/servingOptions.ts";
export type { AllowStat, StatAnswer } from "../rpc/statMethod.ts";
export type { Caller, StickyClient } from "../rpc/stickyClient.ts";
export type { ServiceRecord } from "../rpc/transport.ts";
export { type CloseOnSignalOptions, closeOnSignal } from "./closeOnSignal.ts";
