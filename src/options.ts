// Every option, its default and its check, in one place.

import { invalidArgument } from "./errors.ts";

/** Who is at the other end, as far as the handshake proved it. */
export interface PeerIdentity {
  /** The protocol that ran, e.g. "v1" or "Noise_XX_25519_AESGCM_BLAKE2b". */
  readonly protocol: string;
  /** True where the handshake proved something about the peer: a shared psk or its static key. */
  readonly authenticated: boolean;
  /** The peer's 32-byte static public key, where the pattern carries one. */
  readonly remoteStaticKey: Uint8Array | undefined;
  /** Channel binding (Noise section 11.2): 64 bytes, equal on both ends and unique to this session. */
  readonly handshakeHash: Uint8Array | undefined;
}
