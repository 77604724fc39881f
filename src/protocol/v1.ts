// Protocol v1: the wire format of the Go library monte, for peers that speak nothing else.
//
// It is broken by design, see README and docs/PROTOCOL.md: both directions use one key with counters that start at 0,
// so their first frames share nonces; a side accepts its own frames when they are sent back; nobody is authenticated.

import { SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption } from "../base/options.ts";
import { blake2b } from "../core/blake2b.ts";
import { requireBytesOf } from "../core/bytes.ts";
import { secretCopy } from "../core/wipe.ts";
import { x25519, x25519KeyPair } from "../core/x25519.ts";
import type { Handshake, HandshakeFactory, HandshakeResult, Role, TransportFormat } from "./handshake.ts";
import { KEY_BYTES } from "./wire.ts";

/** Options of `monteV1`. */
export interface MonteV1Options {
  /**
   * The longest frame (4-byte sequence, body and 16-byte tag) that the peer accepts. By default a Go peer refuses more
   * than 4,096 bytes. Default: this side's own `maxFrameBytes`.
   */
  peerMaxFrameBytes?: number;
}

/** A handshake with a given private key, for the recorded transcripts only. */
export function v1HandshakeForTests(role: Role, privateKey: Uint8Array): Handshake {
  return new V1Handshake(role, privateKey);
}

let warned = false;

/** Warns once per process that v1 protects little. */
function warnOnce(): void {
  if (warned) return;
  warned = true;
  const text =
    "sealwire protocol v1 authenticates nobody and reuses nonces: use it only for peers that speak nothing else";
  const emitWarning = (globalThis as { process?: { emitWarning?: (text: string, type: string) => void } })
    .process?.emitWarning;
  if (emitWarning !== undefined) emitWarning(text, "SecurityWarning");
  else console.warn(text);
}

/**
 * Protocol v1 (the Go library monte, byte for byte). It does not protect secrets: pass it as `handshake` only for peers
 * that speak nothing else. Warns once per process.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function monteV1(options: MonteV1Options = {}): HandshakeFactory {
  checkOptionNames(options, ["peerMaxFrameBytes"]);
  const { peerMaxFrameBytes } = options;
  if (peerMaxFrameBytes !== undefined) integerOption("peerMaxFrameBytes", peerMaxFrameBytes, 20, 0xffffffff);
  warnOnce();
  const format: TransportFormat = {
    header: "sequence",
    nonceLayout: "counter-first",
    rekeyAfterFrames: 0,
    peerMaxFrameBytes: peerMaxFrameBytes ?? 0,
  };
  return {
    name: "v1",
    format,
    anonymous: true,
    create: (role) => new V1Handshake(role, undefined),
    firstMessageBytes: () => KEY_BYTES,
  };
}

//   client: sendKey ── write 32 ──▶ readKey ── read 32 ──▶ done
//   server: readKey ── read 32 ──▶ sendKey ── write 32 ──▶ done
class V1Handshake implements Handshake {
  readonly #privateKey: Uint8Array;
  readonly #publicKey: Uint8Array;
  #key: Uint8Array | undefined;
  readonly #role: Role;
  #mustSend: boolean;
  #mustReceive = true;
  #destroyed = false;

  constructor(role: Role, privateKey: Uint8Array | undefined) {
    const pair = x25519KeyPair(privateKey);
    this.#privateKey = pair.privateKey;
    this.#publicKey = pair.publicKey;
    this.#role = role;
    this.#mustSend = role === "client";
  }

  send(): Uint8Array | undefined {
    if (!this.#mustSend || this.#destroyed) return undefined;
    this.#mustSend = false;
    return this.#publicKey;
  }

  get expects(): number {
    return this.#mustReceive && !this.#mustSend ? KEY_BYTES : 0;
  }

  receive(bytes: Uint8Array): void {
    this.#requireAlive();
    if (this.expects === 0) throw new SealwireError("ERR_HANDSHAKE", "no bytes are expected now");
    requireBytesOf("bytes", bytes, KEY_BYTES);
    const dh = x25519(this.#privateKey, bytes);
    try {
      this.#key = blake2b(dh, { length: KEY_BYTES });
    } finally {
      dh.fill(0);
    }
    this.#mustReceive = false;
    this.#mustSend = this.#role === "server";
  }

  get done(): boolean {
    return this.#key !== undefined && !this.#mustSend;
  }

  finish(): HandshakeResult {
    this.#requireAlive();
    const key = this.#key;
    if (key === undefined)
      throw new SealwireError("ERR_HANDSHAKE", "the handshake is not complete or was consumed");
    this.#key = undefined;
    return {
      sendKey: key,
      receiveKey: secretCopy(key),
      identity: {
        protocol: "v1",
        authenticated: false,
        remoteStaticKey: undefined,
        handshakeHash: undefined,
      },
    };
  }

  destroy(): void {
    this.#destroyed = true;
    this.#privateKey.fill(0);
    this.#key?.fill(0);
    this.#key = undefined;
  }

  // A wiped private key would agree on the same key with every peer.
  #requireAlive(): void {
    if (this.#destroyed) throw new SealwireError("ERR_CLOSED", "the handshake was destroyed");
  }
}
