// Entry point `sealwire/noise`: the objects of the Noise specification over this package's core, and what
// protocol v2 builds from them.

export type { ErrorCode } from "./base/errors.ts";
export { SealwireError } from "./base/errors.ts";
export type { NonceLayout } from "./core/nonceCounter.ts";
export type {
  CipherName,
  Handshake,
  HandshakeFactory,
  HandshakeInfo,
  HandshakeResult,
  Role,
  TransportFormat,
} from "./protocol/handshake.ts";
export { CipherState } from "./protocol/noise/cipherState.ts";
export type { KeyPair } from "./protocol/noise/dh.ts";
export {
  HandshakeState,
  type SplitCiphers,
  type SplitKeys,
} from "./protocol/noise/handshakeState.ts";
export type { HandshakeStateOptions } from "./protocol/noise/handshakeStateOptions.ts";
export { decodeKey, encodeKey, equalKeys, generateKeyPair, type KeyInput } from "./protocol/noise/keys.ts";
export {
  type AnonymousNoiseFactory,
  type NoiseFactory,
  noise,
} from "./protocol/noise/noiseFactory.ts";
export type {
  AnonymousOptions,
  Authorize,
  AuthorizeInfo,
  NoiseOptions,
  PeerOptions,
} from "./protocol/noise/noiseOptions.ts";
export { checkPattern, type DhToken, type HandshakePattern, type Token } from "./protocol/noise/pattern.ts";
export { messageLengths, parsePattern, patternNames, protocolName } from "./protocol/noise/patterns.ts";
export { SymmetricState } from "./protocol/noise/symmetricState.ts";
