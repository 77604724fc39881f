// The export list of the module. Each primitive has its section; src/core/crypto.ts gives them types.

// Regions of memory.ts, as globals, so that the host invents no address.
export { STAGING, STAGING_BYTES } from "./memory";
export { POOL, POOL_SLOT_BYTES, POOL_SLOTS } from "./memory";
export { RECEIVE_WINDOW, RECEIVE_WINDOW_BYTES } from "./memory";

// X25519, BLAKE2b, HMAC, HKDF.
export { CURVE_ARGS } from "./memory";
export { x25519 } from "./x25519";
export { x25519Base } from "./x25519Base";
export { BLAKE2B_STATE_BYTES, blake2b, blake2bFinal, blake2bInit, blake2bUpdate } from "./blake2b";
export { hkdfBlake2b, hmacBlake2b } from "./hkdf";
