// Constants in two groups. Protocol: changing one breaks the wire. Tuning: free to change, each with its reason.

// ---- Protocol -------------------------------------------------------------------------------------------

/** u32be length prefix of every frame; it counts what follows it. */
export const LENGTH_BYTES = 4;
/** AES-GCM tag at the end of every sealed frame. */
export const TAG_BYTES = 16;
/** Keys, X25519 public and private keys, pre-shared keys. */
export const KEY_BYTES = 32;

/** Protocol v1 plaintext: u32be sequence ‖ body. */
export const SEQUENCE_HEADER_BYTES = 4;
/** Protocol v2 plaintext: u32be sequence ‖ u8 kind ‖ body. */
export const KIND_HEADER_BYTES = 5;
/** Set in `kind` where the plaintext ends with zero bytes and a u16be that counts them and itself. */
export const PADDED_FLAG = 0x80;
/** The u16be at the end of a padded plaintext. */
export const PAD_LENGTH_BYTES = 2;

/** What a protocol v2 frame means. */
export const Kind = {
  /** Sequence 0: one way. Otherwise a request, numbered by its sender's parity. */
  message: 0,
  /** The answer to the request of that number. */
  reply: 1,
  /** The request of that number failed: u8 code length ‖ code (ASCII) ‖ text (UTF-8). */
  error: 2,
  /** The sender no longer waits for the answer to its request of that number. */
  cancel: 3,
  /** Answered with a pong of the same sequence. */
  ping: 4,
  pong: 5,
  /** "No new messages or requests from me; I finish what I have." Answered with a drain. */
  drain: 6,
  /** The last frame of a direction: an end of stream without it is a truncation. */
  close: 7,
  /** A list of the others, in order: ( u32be n ‖ n bytes: u32be sequence ‖ u8 kind ‖ body )… Never in a bundle. */
  bundle: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * The first handshake frame of protocol v2 is u16be suite ‖ u16be length ‖ message. This bit of the suite means the hybrid
 * key exchange; the next one is reserved for a second cipher, the others are for versions to come. All 0: X25519 alone.
 */
export const HYBRID_SUITE_BIT = 0x0001;

/** Noise section 11.3: each direction's key is replaced after this many frames, without signalling. */
export const REKEY_AFTER_FRAMES = 65_536;

// ---- Tuning ---------------------------------------------------------------------------------------------

/**
 * Send segments are one pool slot. 64 KiB per write: 16 KiB costs 2–3× per byte on loopback and 256 KiB gains
 * nothing (docs/PERFORMANCE.md, transport).
 */
export const SEGMENT_BYTES = 65_536;

/** Sealed frames up to this size are opened in the receive window; larger ones are collected in JavaScript memory. */
export const WINDOW_FRAME_BYTES = 65_536;

/**
 * Messages that make larger frames than this are sealed into JavaScript memory of their own instead of a segment,
 * which they would fill badly.
 */
export const LARGE_FRAME_BYTES = 32_768;

/**
 * Where a frame begins in a pool slot: its text, behind the length, is aligned to 16 bytes, which makes copies of
 * large ones fast (core/copy.ts).
 */
export const FIRST_FRAME_AT = 16 - LENGTH_BYTES;

/** A frame from this size on that is spread over reads is collected in a pool slot, while few enough are… */
export const PARTIAL_SLOT_FROM_BYTES = 16_384;
/** …taken so: the other slots are for what is sent. */
export const PARTIAL_SLOTS = 64;

/** Bodies up to this size share one allocation per read with their neighbours; larger ones get their own. */
export const SHARED_BODY_BYTES = 4_096;

/** Large frames are collected in chunks of this size, so that none is ever copied to grow. */
export const LARGE_CHUNK_BYTES = 65_536;
/** Chunks kept for reuse: 4 MiB at most, in a process that receives large frames. */
export const SPARE_CHUNKS = 64;

/** Resolution of the timer wheel: a deadline fires at most this much late, never early. */
export const TIMER_TICK_MS = 16;

/** A client opens another connection when every one has this many requests waiting for their answers… */
export const BUSY_REQUESTS = 128;
/** …or this many bytes that the kernel has not taken. */
export const BUSY_PENDING_BYTES = 262_144;
