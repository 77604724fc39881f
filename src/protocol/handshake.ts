// The interface that a connection needs of a key exchange: bytes in, bytes out, then a key for each direction.
// Synchronous and socket-free; the one exception is `receive`, which may wait for an application's decision
// about the peer (authorize).

import type { PeerIdentity } from "../base/options.ts";
import type { NonceLayout } from "../core/nonceCounter.ts";

/** Which end of a connection this is: the client dialled. */
export type Role = "client" | "server";

/** The ciphers of Noise (sections 12.3 and 12.4), by its names: AES-256-GCM and ChaCha20-Poly1305. */
export type CipherName = "AESGCM" | "ChaChaPoly";

/** How transport frames look after the handshake. Both ends must agree; it follows from the protocol. */
export interface TransportFormat {
  /** "sequence": u32be sequence (protocol v1). "kind": u32be sequence ‖ u8 kind (protocol v2). */
  readonly header: "sequence" | "kind";
  /** Where AES-256-GCM has the counter in its nonce. */
  readonly nonceLayout: NonceLayout;
  /** Each direction's key is replaced (Noise section 11.3) after this many frames; 0: never. */
  readonly rekeyAfterFrames: number;
  /** The longest sealed frame (ciphertext and tag) that the peer accepts; 0: same as this side's limit. */
  readonly peerMaxFrameBytes: number;
}

/** What a finished handshake hands over. The receiver of this object owns the keys and wipes them. */
export interface HandshakeResult {
  /** 32 bytes: key for what this side sends. */
  readonly sendKey: Uint8Array;
  /** 32 bytes: key for what this side receives. */
  readonly receiveKey: Uint8Array;
  /** Who the peer is, as far as the handshake proved it. */
  readonly identity: PeerIdentity;
  /** What seals frames under these keys. Left out: "AESGCM". "ChaChaPoly" has Noise's nonces, whatever the format says. */
  readonly cipher?: CipherName;
  /**
   * Whether this side sent the last message of the handshake. A server that did has proof of nothing recent: its
   * connection opens with the peer's first frame, which the side that spoke first in the session sends at once. Left
   * out: the protocol proves nothing, and the connection opens with the keys.
   */
  readonly spokeLast?: boolean;
}

/**
 * One run of a handshake, driven like this:
 *
 *     loop:  send()  → write what it returns, if anything
 *            done?   → finish(), once
 *            expects → wait for exactly that many bytes, then receive(them)
 *
 * Any method may throw a SealwireError; the connection is then closed and `destroy` called.
 */
export interface Handshake {
  /** Bytes to write now, or undefined when there is nothing to say. */
  send(): Uint8Array | undefined;
  /** How many bytes `receive` wants next; 0 when it is not waiting for the peer. Small and bounded. */
  readonly expects: number;
  /** Takes exactly `expects` bytes (valid during the call only). A promise pauses the connection's reading. */
  receive(bytes: Uint8Array): void | Promise<void>;
  /** True once `finish` may be called; what `send` returned last must be written first. */
  readonly done: boolean;
  /** Hands over the keys. The handshake is consumed: a second call throws. */
  finish(): HandshakeResult;
  /** Wipes every secret. Idempotent; also called after `finish`. */
  destroy(): void;
}

/** A protocol: makes one `Handshake` per connection. `monteV1()` and the Noise factory are the built-in ones. */
export interface HandshakeFactory {
  /** For messages and logs, e.g. "v1" or "Noise_NNhfs+psk0_25519+MLKEM768_AESGCM_BLAKE2b". */
  readonly name: string;
  /** What frames look like after the handshake. */
  readonly format: TransportFormat;
  /** True when it proves nothing about the peer, so that anyone on the way can be the peer. */
  readonly anonymous: boolean;
  /** Begins a handshake; it is used once. `info`: what this side knows of the peer. */
  create(role: Role, info: HandshakeInfo): Handshake;
  /**
   * How many bytes a client's first message has in all, as far as those that have arrived tell; a handshake is only
   * made for a client that has sent them. What can't be a first message counts as complete: the handshake then says
   * what is wrong with it. Small and bounded, cheap, and without secrets. Left out: any byte is enough.
   */
  firstMessageBytes?(received: Uint8Array): number;
  /** Wipes the keys that it holds; `create` is not called any more. Idempotent. */
  destroy?(): void;
}

/** What a handshake may be told about the connection it protects. */
export interface HandshakeInfo {
  /**
   * For `authorize` and `knownPeers`. On a client what it dialled: "host:port" or the path of a Unix socket. On a
   * server the peer's IP address; empty for a Unix socket.
   */
  readonly remoteAddress: string;
}
