// What every runtime's entry point exports beside `connect` and `listen`.

export { type ErrorCode, SealwireError } from "../base/errors.ts";
export type { ConnectionLimits, PeerIdentity } from "../base/options.ts";
export type { Engine, NonceLayout } from "../core/frameCipher.ts";
export {
  type FirstUse,
  type KnownPeer,
  type KnownPeerMarker,
  type KnownPeers,
  type KnownPeersOptions,
  knownPeers,
} from "../peers/knownPeers.ts";
export type {
  Handshake,
  HandshakeFactory,
  HandshakeInfo,
  HandshakeResult,
  Role,
  TransportFormat,
} from "../protocol/handshake.ts";
export type { KeyPair } from "../protocol/noise/dh.ts";
export { encodeKey, generateKeyPair, type KeyInput } from "../protocol/noise/keys.ts";
export { type NoiseFactory, noise } from "../protocol/noise/noiseFactory.ts";
export type { Authorize, AuthorizeInfo, NoiseOptions, PeerOptions } from "../protocol/noise/noiseOptions.ts";
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
export type { ConnectionTotals } from "../rpc/connectionStats.ts";
export type {
  Connection,
  ConnectionState,
  ConnectionStateListener,
  ConnectionStats,
  Message,
  MessageHandler,
  RequestOptions,
} from "../rpc/peer.ts";
export type { Server, ServerStats } from "../rpc/server.ts";
