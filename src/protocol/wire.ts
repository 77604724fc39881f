// The constants of the wire formats of both protocols (docs/PROTOCOL.md). A change of one breaks the protocol.

export { LENGTH_BYTES, TAG_BYTES } from "../core/frameLayout.ts";

/** Keys, X25519 public and private keys, pre-shared keys. */
export const KEY_BYTES = 32;

/** Protocol v1 plaintext: u32be sequence ‖ body. */
export const SEQUENCE_HEADER_BYTES = 4;
/** Protocol v2 plaintext: u32be sequence ‖ u8 kind ‖ body. */
export const KIND_HEADER_BYTES = 5;
/** In front of a body in a bundle: the length of its record, and the header with a kind. */
export const RECORD_FRONT_BYTES = 9;
/** Set in `kind` if the plaintext ends with zero bytes and a u16be that counts them and itself. */
export const PADDED_FLAG = 0x80;
/** The u16be at the end of a padded plaintext. */
export const PAD_LENGTH_BYTES = 2;

/** The meaning of a protocol v2 frame. */
export const Kind = {
  /** Sequence 0: one way. Otherwise a request, numbered by its sender's parity. */
  message: 0,
  /** The answer to the request of that number. */
  reply: 1,
  /** The request of that number failed (errorBody.ts). */
  error: 2,
  /** The sender no longer waits for the answer to its request of that number. */
  cancel: 3,
  /** Answered with a pong of the same sequence. */
  ping: 4,
  pong: 5,
  /** "I make no new calls, and finish those in progress." Answered with a drain. */
  drain: 6,
  /** The last frame of a direction: an end of stream without it is a truncation. */
  close: 7,
  /** A list of the others, in order: ( u32be n ‖ n bytes: u32be sequence ‖ u8 kind ‖ body )… Never in a bundle. */
  bundle: 8,
  /** The limits of its sender, as fields. Alone in the first frame of each direction, and nowhere else. */
  settings: 9,
  /** A message or request with a head: u16be n ‖ n bytes of fields ‖ body. */
  call: 10,
  /** A reply with a head. */
  answer: 11,
  /** u8 flags ‖ bytes of the stream of this number. */
  chunk: 12,
  /** The sender sends no more chunks with this number. */
  end: 13,
  /** The receiver asks for no more chunks with this number. Answered with an end. */
  stop: 14,
  /** u32be more bytes that may be sent: of messages and requests (sequence 0), or of chunks of this number. */
  credit: 15,
  /** More waits here and has no credit: of messages (sequence 0), or of this number's chunks. Advice. */
  blocked: 16,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Kinds from here to LAST_RESERVED_KIND may come to mean something: a receiver that does not know one ignores it. */
export const FIRST_RESERVED_KIND = 64;
export const LAST_RESERVED_KIND = 127;

/** In a chunk's flags: the item goes on in the next chunk of this stream. */
export const CHUNK_CONTINUES = 1;

/** Noise section 11.3: each direction's key is replaced after this many frames, without signalling. */
export const REKEY_AFTER_FRAMES = 65_536;

/**
 * The first handshake frame of protocol v2 is u16be suite ‖ u16be length ‖ message. This bit of the suite means the hybrid
 * key exchange, the next one ChaChaPoly; the others are for versions to come. All 0: X25519 alone and AESGCM.
 */
export const HYBRID_SUITE_BIT = 0x0001;
export const CHACHAPOLY_SUITE_BIT = 0x0002;
