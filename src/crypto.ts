// The entry point sealwire/crypto: the primitives for their own sake, as functions on Uint8Array.

export { type ErrorCode, SealwireError } from "./base/errors.ts";
export {
  Blake2b,
  type Blake2bOptions,
  blake2b,
  hkdfBlake2b,
  hmacBlake2b,
} from "./core/blake2b.ts";
export type { OwnBytes } from "./core/bytes.ts";
export { type ChaCha20Poly1305, type ChaChaEngine, chacha20poly1305 } from "./core/chaCha20Poly1305.ts";
export type { Engine } from "./core/engine.ts";
export { type Aes256Gcm, aes256gcm } from "./core/gcm.ts";
export {
  type MlKem768Encapsulation,
  type MlKem768KeyPair,
  mlKem768Decapsulate,
  mlKem768Encapsulate,
  mlKem768KeyPair,
} from "./core/mlKem768.ts";
export { type KeyPair, x25519, x25519KeyPair, x25519PublicKey } from "./core/x25519.ts";
