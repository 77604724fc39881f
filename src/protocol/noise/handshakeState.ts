// HandshakeState: Noise (revision 34) section 5.3, driven by the tokens of a pattern.
//
//             write / read turns, one per message of the pattern
//   new ──▶ [ my turn ⇄ the peer's turn ] ──▶ finished ──split()──▶ consumed
//                  └── anything fails ───────────────────────────▶ consumed (wiped)
//   any state ── destroy() ──▶ destroyed (wiped)
//
// Secret: s, e, e1 (private keys), psks, and the SymmetricState. All are wiped when the handshake is consumed or
// destroyed.
// Beside them the tokens of the extension for hybrid forward secrecy (revision 1, section 4): e1, ekem1.

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import { isBytes, requireBytes, requireBytesUpTo, viewOf } from "../../core/bytes.ts";
import type { MlKem768KeyPair } from "../../core/mlKem768.ts";
import type { CipherState } from "./cipherState.ts";
import { dhFunctions, type KeyPair } from "./dh.ts";
import { checkKeys, type HandshakeStateOptions } from "./handshakeStateOptions.ts";
import { kemFunctions } from "./kem.ts";
import { checkedPattern, type DhToken, type HandshakePattern, type Token } from "./pattern.ts";
import {
  DHLEN,
  KEMCIPHERTEXTLEN,
  KEMPUBLICKEYLEN,
  MAX_MESSAGE_BYTES,
  messageLengths,
  parsePattern,
  protocolName,
  TAGLEN,
} from "./patterns.ts";
import { SymmetricState } from "./symmetricState.ts";

const EMPTY = new Uint8Array(0);
const MAX_PROLOGUE_BYTES = 131_072;

/** What `split` gives. */
export interface SplitCiphers {
  /** For what this side sends. In a one-way pattern the responder never uses it. */
  readonly send: CipherState;
  /** For what this side receives. */
  readonly receive: CipherState;
}

/** What `splitKeys` gives: 32 bytes for each direction. */
export interface SplitKeys {
  /** 32 bytes. */
  readonly sendKey: Uint8Array;
  /** 32 bytes. */
  readonly receiveKey: Uint8Array;
}

/** HandshakeState of Noise (section 5.3). */
export class HandshakeState {
  /** The pattern that it runs. */
  readonly pattern: HandshakePattern;
  /** Whether this side writes the first message. */
  readonly initiator: boolean;
  readonly #symmetric: SymmetricState;
  readonly #lengths: readonly number[];
  readonly #psks: Uint8Array[];
  readonly #ephemeralForTests: Uint8Array | undefined;
  readonly #kemForTests: Uint8Array | undefined;
  #s: KeyPair | undefined;
  #e: KeyPair | undefined;
  #rs: Uint8Array | undefined;
  #re: Uint8Array | undefined;
  #e1: MlKem768KeyPair | undefined;
  #re1: Uint8Array | undefined;
  #turn = 0;
  #nextPsk = 0;
  #end: "consumed" | "destroyed" | undefined;

  /**
   * Initialize.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT naming the option that is missing, superfluous or malformed
   */
  constructor(options: HandshakeStateOptions) {
    if (options === null || typeof options !== "object") throw invalidArgument("options", "an object");
    // Read once: what is used is what was checked, also where the options are getters.
    const { initiator, prologue = EMPTY, s, rs, psks = [], pattern: given } = options;
    const { unsafeEphemeralForTests, unsafeKemForTests } = options;
    if (typeof initiator !== "boolean") throw invalidArgument("initiator", "true or false");
    requireBytesUpTo("prologue", prologue, MAX_PROLOGUE_BYTES);
    const pattern = typeof given === "string" ? parsePattern(given) : checkedPattern(given);
    const own = {
      s: s === undefined || isBytes(s) ? s : { privateKey: s?.privateKey, publicKey: s?.publicKey },
      rs,
      psks: Array.isArray(psks) ? [...psks] : psks,
      unsafeEphemeralForTests,
      unsafeKemForTests,
    };
    checkKeys(pattern, initiator, own);
    this.pattern = pattern;
    this.initiator = initiator;
    this.#lengths = messageLengths(pattern);
    this.#symmetric = new SymmetricState(protocolName(pattern));
    this.#symmetric.mixHash(prologue);

    this.#ephemeralForTests = unsafeEphemeralForTests && new Uint8Array(unsafeEphemeralForTests);
    this.#kemForTests = unsafeKemForTests && new Uint8Array(unsafeKemForTests);
    if (isBytes(own.s)) this.#s = dhFunctions.generateKeyPair(own.s);
    else if (own.s) {
      const { privateKey, publicKey } = own.s;
      this.#s = { privateKey: new Uint8Array(privateKey), publicKey: new Uint8Array(publicKey) };
    }
    if (rs !== undefined) this.#rs = new Uint8Array(rs);
    this.#psks = own.psks.map((psk) => new Uint8Array(psk));
    const [initiatorStatic, responderStatic] = initiator
      ? [this.#s?.publicKey, this.#rs]
      : [this.#rs, this.#s?.publicKey];
    if (pattern.initiatorStaticKnown) this.#symmetric.mixHash(initiatorStatic!);
    if (pattern.responderStaticKnown) this.#symmetric.mixHash(responderStatic!);
  }

  /** True when `writeMessage` is the next step, false when `readMessage` is or the handshake is over. */
  get isMyTurn(): boolean {
    return this.#end === undefined && !this.isFinished && (this.#turn % 2 === 0) === this.initiator;
  }

  /** True once every message went by; `split` is then the next step. */
  get isFinished(): boolean {
    return this.#turn === this.pattern.messages.length;
  }

  /** Bytes of the next message with an empty payload; with a payload it is longer by the payload. 0 at the end. */
  get nextMessageBytes(): number {
    return this.#lengths[this.#turn] ?? 0;
  }

  /**
   * The peer's static public key (32 bytes, a copy) as soon as it is known. That the peer holds its private
   * key is proven when the handshake is finished, or by the first transport message where the last handshake
   * message mixes it in (section 7.7).
   */
  get remoteStaticKey(): Uint8Array | undefined {
    return this.#rs && new Uint8Array(this.#rs);
  }

  /** The handshake hash (section 11.2), 64 bytes: equal on both ends and unique to this session. */
  get handshakeHash(): Uint8Array {
    if (!this.isFinished) throw new SealwireError("ERR_HANDSHAKE", "the handshake is not finished");
    return this.#symmetric.getHandshakeHash();
  }

  /**
   * WriteMessage: the next message, at most 65,535 bytes.
   *
   * @param payload encrypted as far as the pattern can at this point (section 7.7): in the first messages not
   *   at all or for anyone; empty by default
   * @throws SealwireError ERR_HANDSHAKE when it is not this side's turn; ERR_MESSAGE_TOO_LARGE;
   *   ERR_INVALID_ARGUMENT; ERR_WEAK_PUBLIC_KEY (the handshake is then consumed); ERR_CLOSED after destroy()
   */
  writeMessage(payload: Uint8Array = EMPTY): Uint8Array {
    if (!this.isMyTurn) throw this.#outOfTurn("write");
    requireBytes("payload", payload);
    const length = this.nextMessageBytes + payload.length;
    if (length > MAX_MESSAGE_BYTES) {
      throw new SealwireError("ERR_MESSAGE_TOO_LARGE", "a Noise message has at most 65,535 bytes");
    }
    return this.#orDestroy(() => {
      const message = new Uint8Array(length);
      let at = 0;
      const append = (bytes: Uint8Array): void => {
        message.set(bytes, at);
        at += bytes.length;
      };
      for (const token of this.#tokens()) {
        if (token === "e") append(this.#writeE());
        else if (token === "s") append(this.#symmetric.encryptAndHash(this.#s!.publicKey));
        else if (token === "e1") append(this.#writeE1());
        else if (token === "ekem1") append(this.#writeEkem1());
        else this.#mix(token);
      }
      append(this.#symmetric.encryptAndHash(payload));
      this.#turn += 1;
      return message;
    });
  }

  /**
   * ReadMessage: the payload of the peer's next message, in fresh memory.
   *
   * @throws SealwireError ERR_INVALID_ARGUMENT; ERR_HANDSHAKE when it is not the peer's turn; ERR_CLOSED after
   *   destroy(). ERR_HANDSHAKE when the length can't be right; ERR_DECRYPT when it does not authenticate;
   *   ERR_WEAK_PUBLIC_KEY: with these the handshake is consumed, there is no second try.
   */
  readMessage(message: Uint8Array): Uint8Array {
    if (this.#end !== undefined || this.isFinished || this.isMyTurn) throw this.#outOfTurn("read");
    requireBytes("message", message);
    return this.#orDestroy(() => {
      const messageBytes = message.length;
      if (messageBytes < this.nextMessageBytes || messageBytes > MAX_MESSAGE_BYTES) {
        throw new SealwireError(
          "ERR_HANDSHAKE",
          `a message of ${messageBytes} bytes is not what the pattern has`,
        );
      }
      let at = 0;
      const take = (length: number): Uint8Array => {
        at += length;
        return new Uint8Array(viewOf(message, at - length, at));
      };
      const takeSealed = (length: number): Uint8Array =>
        this.#symmetric.decryptAndHash(take(length + (this.#symmetric.hasKey ? TAGLEN : 0)));
      for (const token of this.#tokens()) {
        if (token === "e") this.#readE(take(DHLEN));
        else if (token === "s") this.#rs = takeSealed(DHLEN);
        else if (token === "e1") this.#re1 = takeSealed(KEMPUBLICKEYLEN);
        else if (token === "ekem1") this.#readEkem1(takeSealed(KEMCIPHERTEXTLEN));
        else this.#mix(token);
      }
      const payload = this.#symmetric.decryptAndHash(take(messageBytes - at));
      this.#turn += 1;
      return payload;
    });
  }

  /**
   * Split: a cipher per direction. The handshake is consumed.
   *
   * @throws SealwireError ERR_HANDSHAKE unless it is finished and not yet split; ERR_CLOSED after destroy()
   */
  split(): SplitCiphers {
    this.#requireFinished();
    const [first, second] = this.#symmetric.split();
    this.#finish("consumed");
    return this.initiator ? { send: first, receive: second } : { send: second, receive: first };
  }

  /**
   * Split for a transport with ciphers of its own: the keys, 32 bytes each; the caller owns and wipes them.
   * The handshake is consumed.
   *
   * @throws SealwireError ERR_HANDSHAKE unless it is finished and not yet split; ERR_CLOSED after destroy()
   */
  splitKeys(): SplitKeys {
    this.#requireFinished();
    const [first, second] = this.#symmetric.splitKeys();
    this.#finish("consumed");
    return this.initiator ? { sendKey: first, receiveKey: second } : { sendKey: second, receiveKey: first };
  }

  /**
   * Wipes every secret; every step then throws ERR_CLOSED. The handshake hash and the peer's static key stay readable.
   * Idempotent.
   */
  destroy(): void {
    this.#finish("destroyed");
  }

  #finish(end: "consumed" | "destroyed"): void {
    this.#end = end;
    this.#symmetric.destroy();
    this.#s?.privateKey.fill(0);
    this.#e?.privateKey.fill(0);
    this.#s = undefined;
    this.#e = undefined;
    this.#ephemeralForTests?.fill(0);
    this.#wipeE1();
    this.#kemForTests?.fill(0);
    for (const psk of this.#psks) psk.fill(0);
  }

  #tokens(): readonly Token[] {
    return this.pattern.messages[this.#turn]!;
  }

  #writeE(): Uint8Array {
    this.#e = dhFunctions.generateKeyPair(this.#ephemeralForTests);
    this.#mixE(this.#e.publicKey);
    return this.#e.publicKey;
  }

  #readE(re: Uint8Array): void {
    this.#re = re;
    this.#mixE(re);
  }

  #mixE(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey);
    // Section 9.2: a psk handshake mixes ephemerals into the key, so that it differs every time.
    if (this.pattern.pskCount > 0) this.#symmetric.mixKey(publicKey);
  }

  #writeE1(): Uint8Array {
    this.#e1 = kemFunctions.generateKeyPair(this.#kemForTests);
    return this.#symmetric.encryptAndHash(this.#e1.encapsulationKey);
  }

  #writeEkem1(): Uint8Array {
    const { ciphertext, sharedSecret } = kemFunctions.encapsulate(this.#re1!, this.#kemForTests);
    try {
      const sealed = this.#symmetric.encryptAndHash(ciphertext);
      this.#symmetric.mixKey(sharedSecret);
      return sealed;
    } finally {
      sharedSecret.fill(0);
    }
  }

  #readEkem1(ciphertext: Uint8Array): void {
    this.#mixSecret(kemFunctions.decapsulate(this.#e1!.decapsulationKey, ciphertext));
    this.#wipeE1();
  }

  #wipeE1(): void {
    this.#e1?.decapsulationKey.fill(0);
    this.#e1 = undefined;
  }

  #mixSecret(secret: Uint8Array): void {
    this.#symmetric.mixKey(secret);
    secret.fill(0);
  }

  /** The tokens that put nothing on the wire. In "es" the initiator's key is the ephemeral, in "se" the static. */
  #mix(token: DhToken | "psk"): void {
    if (token === "psk") {
      const psk = this.#psks[this.#nextPsk++]!;
      this.#symmetric.mixKeyAndHash(psk);
      return;
    }
    const [mine, theirs] = this.initiator ? [token[0], token[1]] : [token[1], token[0]];
    const shared = dhFunctions.dh(
      (mine === "e" ? this.#e : this.#s)!,
      (theirs === "e" ? this.#re : this.#rs)!,
    );
    this.#mixSecret(shared);
  }

  /** Runs one step; whatever goes wrong in it ends the handshake and wipes it (section 5.3). */
  #orDestroy<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.#finish("consumed");
      throw error;
    }
  }

  #requireFinished(): void {
    if (this.#end !== undefined) throw this.#ended(this.#end);
    if (!this.isFinished) throw new SealwireError("ERR_HANDSHAKE", "the handshake is not finished");
  }

  #ended(end: "consumed" | "destroyed"): SealwireError {
    return end === "destroyed"
      ? new SealwireError("ERR_CLOSED", "the handshake was destroyed")
      : new SealwireError("ERR_HANDSHAKE", "the handshake is consumed");
  }

  #outOfTurn(attempted: "write" | "read"): SealwireError {
    if (this.#end !== undefined) return this.#ended(this.#end);
    const why = this.isFinished
      ? "the handshake is finished"
      : attempted === "write"
        ? "it is the peer's turn to write"
        : "it is this side's turn to write";
    return new SealwireError("ERR_HANDSHAKE", why);
  }
}
