// The memory map: every region of the fixed linear memory, its offset and size.
//
// Memory is 1,024 pages (64 MiB), initial = maximum, so views made by the host never detach.
// Pages that were never touched cost no physical memory. Nothing outside of this file invents an
// address; the host reads the same numbers through the exported getters in index.ts.
//
//   0x0000000  static data placed by the compiler (tables)                      64 KiB
//   0x0010000  X25519, BLAKE2b: scratch, fixed-base table                      128 KiB
//   0x0030000  AES-GCM: scratch, streaming state                                64 KiB
//   0x0040000  keystream: counter blocks in, keystream out                     256 KiB
//   0x0080000  staging: arguments and results of one-off calls                 512 KiB
//   0x0100000  key cache: KEY_SLOTS expanded keys                               29 MiB
//   0x1E00000  pool: POOL_SLOTS slots of 64 KiB that sockets read and write     32 MiB
//   0x3E00000  receive: head room for a parked partial frame, then the window     128 KiB
//   0x3E20000  spare                                                         1,920 KiB

export const CURVE_SCRATCH: usize = 0x0010000;
export const CURVE_SCRATCH_BYTES: usize = 0x20000;

// Inside of it (each file that uses one lists what it keeps there):
//   +0x00000  arguments and results of X25519 calls                            256 B
//   +0x00100  X25519: clamped scalar, field elements of one call             3,840 B
//   +0x01000  BLAKE2b: states and blocks of HMAC and HKDF                    4,096 B
//   +0x02000  spare                                                         24,576 B
//   +0x08000  fixed-base table (public, lives on), space to build it        96 KiB
export const CURVE_ARGS: usize = CURVE_SCRATCH;
export const X25519_SCRATCH: usize = CURVE_SCRATCH + 0x100;
export const X25519_SCRATCH_BYTES: usize = 0xf00;
export const BLAKE2B_SCRATCH: usize = CURVE_SCRATCH + 0x1000;
export const BLAKE2B_SCRATCH_BYTES: usize = 0x1000;
export const BASE_TABLE: usize = CURVE_SCRATCH + 0x8000;
export const BASE_TABLE_BYTES: usize = 0x18000;

export const GCM_SCRATCH: usize = 0x0030000;
export const GCM_SCRATCH_BYTES: usize = 0x10000;

export const KEYSTREAM: usize = 0x0040000;
export const KEYSTREAM_BYTES: usize = 0x40000;

export const STAGING: usize = 0x0080000;
export const STAGING_BYTES: usize = 0x80000;

export const KEY_CACHE: usize = 0x0100000;
export const KEY_CACHE_BYTES: usize = 0x1d00000;

export const POOL: usize = 0x1e00000;
export const POOL_SLOT_BYTES: usize = 0x10000;
export const POOL_SLOTS: i32 = 512;

// Sockets read into the window; an unfinished frame is moved directly before it (src/protocol/frame.ts).
export const RECEIVE_WINDOW: usize = 0x3e10000;
export const RECEIVE_WINDOW_BYTES: usize = 0x10000;
