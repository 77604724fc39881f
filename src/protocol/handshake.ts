// The interface between a connection and a key exchange: bytes in, bytes out, then a key for each direction. It is
// synchronous and knows no sockets. The only exception is `receive`, which may wait for an application's decision about
// the peer (authorize).

import type { PeerIdentity } from "../base/options.ts";
import type { NonceLayout } from "../core/nonceCounter.ts";

/** Which end of a connection this is: the client dialled. */
export type Role = "client" | "server";

/** The ciphers of Noise (sections 12.3 and 12.4), by its names: AES-256-GCM and ChaCha20-Poly1305. */
export type CipherName = "AESGCM" | "ChaChaPoly";

/** The form of transport frames after the handshake. Both ends must agree; it follows from the protocol. */
export interface TransportFormat {
  /** "sequence": u32be sequence (protocol v1). "kind": u32be sequence ‖ u8 kind (protocol v2). */
  readonly header: "sequence" | "kind";
  /** The place of the counter in the nonce of AES-256-GCM. */
  readonly nonceLayout: NonceLayout;
  /** Each direction's key is replaced (Noise section 11.3) after this many frames; 0: never. */
  readonly rekeyAfterFrames: number;
  /** The longest sealed frame (ciphertext and tag) that the peer accepts; 0: same as this side's limit. */
  readonly peerMaxFrameBytes: number;
}

/** The result of a finished handshake. The receiver of this object owns the keys and wipes them. */
export interface HandshakeResult {
  /** 32 bytes: the key for bytes that this side sends. */
  readonly sendKey: Uint8Array;
  /** 32 bytes: the key for bytes that this side receives. */
  readonly receiveKey: Uint8Array;
  /** The identity of the peer, as far as the handshake proved it. */
  readonly identity: PeerIdentity;
  /**
   * The cipher that seals frames under these keys. Default: "AESGCM". "ChaChaPoly" uses Noise's nonces, whatever the
   * format says.
   */
  readonly cipher?: CipherName;
  /**
   * Whether this side sent the last message of the handshake. Then the peer has proven nothing recent yet, and the
   * connection opens with the peer's first frame, which the peer sends at once. Left out: the protocol proves nothing,
   * and the connection opens with the keys.
   */
  readonly spokeLast?: boolean;
  /**
   * Called once, when the peer's first frame has opened. The connection opens when the promise resolves, and fails with
   * what it rejects with. Left out: nothing is to be confirmed.
   */
  readonly confirm?: () => Promise<void>;
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
  /** Bytes to write now, or undefined if there are none. */
  send(): Uint8Array | undefined;
  /** How many bytes `receive` needs next; 0 if it does not wait for the peer. Small and bounded. */
  readonly expects: number;
  /** Takes exactly `expects` bytes (valid during the call only). A promise pauses the connection's reading. */
  receive(bytes: Uint8Array): void | Promise<void>;
  /** True once `finish` may be called; the last result of `send` must be written first. */
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
  /** The form of frames after the handshake. */
  readonly format: TransportFormat;
  /** True if the protocol proves nothing about the peer, so anyone on the path can be the peer. */
  readonly anonymous: boolean;
  /** Begins a handshake, which is used once. `info`: what this side knows of the peer. */
  create(role: Role, info: HandshakeInfo): Handshake;
  /**
   * The length of a client's whole first message, as far as the received bytes show. A handshake is only made for a
   * client that has sent all of it. Bytes that can't be a first message count as complete, and the handshake then
   * reports the error. Small and bounded, cheap, and without secrets. It is called again when as many bytes have come, so
   * it must not be more than the message will have. Left out: any byte is enough.
   */
  firstMessageBytes?(received: Uint8Array): number;
  /** Wipes the factory's keys; `create` is not called any more. Idempotent. */
  destroy?(): void;
}

/** Information about the connection that a handshake protects. */
export interface HandshakeInfo {
  /**
   * For `authorize` and `knownPeers`. On a client the address that it dialled: "host:port" or the path of a Unix
   * socket. On a server the peer's IP address; empty for a Unix socket.
   */
  readonly remoteAddress: string;
}
