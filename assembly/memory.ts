// The memory map: every region of the fixed linear memory, its offset and size.
//
// Memory is 981 pages (61.3 MiB), initial = maximum, so views made by the host never detach. It stays well below
// 64 MiB, because V8 collects all garbage at once as soon as a program holds that much outside of its heap: every
// import of this library would cost a collection. Pages that were never touched cost no physical memory. No other file
// invents an address; the host reads the same numbers from the globals that index.ts exports.
//
//   0x0000000  static data placed by the compiler (tables)                      64 KiB
//   0x0010000  X25519, BLAKE2b: scratch, fixed-base table                      128 KiB
//   0x0030000  AES-GCM: scratch, streaming state                                64 KiB
//   0x0040000  keystream: counter blocks in, keystream out                     256 KiB
//   0x0080000  staging: arguments and results of one-off calls                 512 KiB
//   0x0100000  key cache: KEY_ENTRIES expanded keys                           28.5 MiB
//   0x1D80000  pool: POOL_SLOTS slots of 64 KiB that sockets read and write   29.5 MiB
//   0x3B00000  ML-KEM: Keccak states, polynomials, tables                       32 KiB
//   0x3B08000  ChaCha20-Poly1305: states                                        4 KiB
//   0x3B09000  spare                                                            92 KiB
//   0x3B20000  keystream ahead: AHEAD_ENTRIES entries of 32 KiB              2,048 KiB
//   0x3D20000  receive: join region 128 KiB, buffer 64 KiB                     192 KiB

export const CURVE_SCRATCH: usize = 0x0010000;
export const CURVE_SCRATCH_BYTES: usize = 0x20000;

// Its regions (the file that uses a region lists the contents):
//   +0x00000  arguments and results of X25519 calls                            256 B
//   +0x00100  X25519: clamped scalar, field elements of one call             3,840 B
//   +0x01000  BLAKE2b: states and blocks of HMAC and HKDF                    4,096 B
//   +0x02000  X25519: points, space to build the fixed-base table           24,576 B
//   +0x08000  X25519: fixed-base table (public, lives on)                   40 KiB
//   +0x12000  spare                                                         56 KiB
export const CURVE_ARGS: usize = CURVE_SCRATCH;
export const X25519_SCRATCH: usize = CURVE_SCRATCH + 0x100;
export const X25519_SCRATCH_BYTES: usize = 0xf00;
export const FIELD_SCRATCH: usize = X25519_SCRATCH + 0xc00; // its last 768 B, for fieldDouble.ts
export const BLAKE2B_SCRATCH: usize = CURVE_SCRATCH + 0x1000;
export const BLAKE2B_SCRATCH_BYTES: usize = 0x1000;
export const BASE_BUILD: usize = CURVE_SCRATCH + 0x2000;
export const BASE_BUILD_BYTES: usize = 0x6000;
export const BASE_TABLE: usize = CURVE_SCRATCH + 0x8000;
export const BASE_TABLE_BYTES: usize = 0xa000;

export const GCM_SCRATCH: usize = 0x0030000;
export const GCM_SCRATCH_BYTES: usize = 0x10000;

// Inside GCM_SCRATCH:
export const GCM_RESULTS: usize = GCM_SCRATCH; // two u32 that a call returns beside its value
export const GCM_STREAM: usize = GCM_SCRATCH + 0x40; // one message in pieces: see gcmStream.ts
export const AES_SLICED_CONSTANTS: usize = GCM_SCRATCH + 0x200; // 4 + 16 splats of the first two rounds
export const AES_SLICED_STATE: usize = GCM_SCRATCH + 0x2000; // 16 registers of state, 16 of 3·S, 16 of 2·S
export const AES_SLICED_WORDS: usize = GCM_SCRATCH + 0x600; // half-transposed blocks, 256 bytes
export const AES_KEY_SCRATCH: usize = GCM_SCRATCH + 0x700; // 256 bytes
export const GHASH_NIBBLES: usize = GCM_SCRATCH + 0x800; // up to 16 blocks of 32 bytes
export const GHASH_TRANSPOSE: usize = GCM_SCRATCH + 0xa00; // 16 multiples, then 16 half-transposed
export const GHASH_LIMBS: usize = GCM_SCRATCH + 0x1000; // Karatsuba: 9 limbs of 12 quads of 32 bytes
export const GHASH_PRODUCTS: usize = GCM_SCRATCH + 0x1d80; // Karatsuba: 9 products of 32 bytes
export const GHASH_LANES: usize = GCM_SCRATCH + 0x1ea0; // Karatsuba: four running values

export const KEYSTREAM: usize = 0x0040000;
export const KEYSTREAM_BYTES: usize = 0x40000;

export const STAGING: usize = 0x0080000;
export const STAGING_BYTES: usize = 0x80000;

export const KEY_CACHE: usize = 0x0100000;
export const KEY_CACHE_BYTES: usize = 0x1c80000;

// One expanded AES-256-GCM key:
export const KEY_ROWS: usize = 0; // 15 round keys of 16 bytes
export const KEY_FLAGS: usize = 0x0f0; // u32: 1 once the Karatsuba tables are built
export const KEY_H4: usize = 0x39c0; // H^4
export const KEY_SPLATS: usize = 0x100; // the same round keys, every byte repeated 16 times: 15 * 256
export const KEY_GHASH: usize = 0x1000; // tables of H^1 ... H^GHASH_POWERS, 256 bytes each
export const GHASH_POWERS: usize = 8;
export const KEY_KARATSUBA: usize = 0x1800; // tables of H^4, H^8 ... H^48, 720 bytes each
export const KARATSUBA_POWERS: usize = 12;
export const KEY_ENTRY_BYTES: usize = 0x39d0;
export const KEY_ENTRIES: i32 = <i32>(KEY_CACHE_BYTES / KEY_ENTRY_BYTES);

export const POOL: usize = 0x1d80000;
export const POOL_SLOT_BYTES: usize = 0x10000;
export const POOL_SLOTS: i32 = 472;

// Sockets read into the receive buffer. A frame that was collected in JavaScript memory is opened in the join region
// (src/protocol/frameReader.ts).
export const JOIN: usize = 0x3d20000;
export const JOIN_BYTES: usize = 0x20000;
export const RECEIVE_BUFFER: usize = 0x3d40000;
export const RECEIVE_BUFFER_BYTES: usize = 0x10000;

// The keystream of the next frames, for connections that send or receive one message at a time.
export const AHEAD: usize = 0x3b20000;
export const AHEAD_ENTRY_BYTES: usize = 0x8000;
export const AHEAD_ENTRIES: i32 = 64;

// ML-KEM-768 and Keccak. Everything except the tables is 0 between calls.
export const KEM_SCRATCH: usize = 0x3b00000;
export const KEM_SCRATCH_BYTES: usize = 0x8000;

// Inside KEM_SCRATCH:
export const KECCAK_STATE: usize = KEM_SCRATCH; // 400 bytes: see sha3.ts
export const XOF_BLOCKS: usize = KEM_SCRATCH + 0x200; // output of two sponges, 512 bytes each
export const KEM_BYTES: usize = KEM_SCRATCH + 0x800; // seeds, hashes, a second ciphertext: see mlKem768.ts
export const KEM_POLYNOMIALS: usize = KEM_SCRATCH + 0x2000; // of 512 bytes each: see kpke.ts
export const KEM_SECRETS_END: usize = KEM_SCRATCH + 0x5800; // everything before is wiped
export const NTT_TABLES: usize = KEM_SCRATCH + 0x6000; // 3,584 bytes, public, live on: see ntt3329.ts

// ChaCha20-Poly1305 (chaCha20Poly1305.ts). All of it is 0 between calls.
export const CHACHA_SCRATCH: usize = 0x3b08000;
export const CHACHA_SCRATCH_BYTES: usize = 0x1000;
export const CHACHA_SCRATCH_USED_BYTES: usize = 320;
