// The export list of the module, with a section for each primitive. src/core/wasmModule.ts has the types.

// The regions of memory.ts are exported as globals, so that the host uses the same addresses.
export { STAGING, STAGING_BYTES } from "./memory";
export { POOL, POOL_SLOT_BYTES, POOL_SLOTS } from "./memory";
export { JOIN, RECEIVE_BUFFER, RECEIVE_BUFFER_BYTES } from "./memory";

// X25519, BLAKE2b, HMAC, HKDF.
export { CURVE_ARGS } from "./memory";
export { x25519, x25519AllowFused, x25519Fused } from "./x25519";
export { x25519Base } from "./x25519Base";
export { BLAKE2B_STATE_BYTES, blake2b, blake2bFinal, blake2bInit, blake2bUpdate, mixHash } from "./blake2b";
export { hkdfBlake2b, hmacBlake2b } from "./hkdf";

// AES-256-GCM.
export {
  GCM_SCRATCH,
  GCM_SCRATCH_BYTES,
  KEY_CACHE,
  KEY_ENTRY_BYTES,
  KEY_ENTRIES,
  KEYSTREAM,
  KEYSTREAM_BYTES,
} from "./memory";
export { AHEAD, AHEAD_ENTRY_BYTES, AHEAD_ENTRIES } from "./memory";
export {
  keySetup,
  openFrames,
  openPrepared,
  sealFrames,
  sealPrepared,
  writeCounters,
  writeCountersAhead,
} from "./gcm";
export {
  streamBegin,
  streamCounters,
  streamCrypt,
  streamEnd,
  streamHash,
  streamTag,
  streamVerify,
  streamXor,
} from "./gcmStream";

// ChaCha20-Poly1305.
export {
  chachaBegin,
  chachaCrypt,
  chachaEnd,
  chachaHash,
  chachaOpenFrames,
  chachaSealFrames,
  chachaTag,
  chachaVerify,
} from "./chaCha20Poly1305";
export { CHACHA_SCRATCH, CHACHA_SCRATCH_BYTES } from "./memory";

// ML-KEM-768, SHA-3 and SHAKE.
export { mlKem768Decaps, mlKem768Encaps, mlKem768KeyGen } from "./mlKem768";
export { sponge } from "./sha3";
