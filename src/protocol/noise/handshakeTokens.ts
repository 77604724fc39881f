// The keys of a Noise handshake and what each token of a pattern does with them (revision 34, section 5.3), with the
// tokens of the extension for hybrid forward secrecy (revision 1, section 4): e1, ekem1.
//
// Secret: s, e, e1 (private keys), psks, and the SymmetricState. `wipe` ends them all.

import { isBytes } from "../../core/bytes.ts";
import type { MlKem768KeyPair } from "../../core/mlKem768.ts";
import { secretCopy } from "../../core/wipe.ts";
import type { CipherName } from "../handshake.ts";
import { dhFunctions, type KeyPair } from "./dh.ts";
import type { CheckedKeys } from "./handshakeStateOptions.ts";
import { kemFunctions } from "./kem.ts";
import type { DhToken, HandshakePattern, Token } from "./pattern.ts";
import { DHLEN, KEMCIPHERTEXTLEN, KEMPUBLICKEYLEN, protocolName, TAGLEN } from "./patterns.ts";
import { SymmetricState } from "./symmetricState.ts";

export class HandshakeTokens {
  readonly symmetric: SymmetricState;
  readonly #initiator: boolean;
  /** Section 9.2: a psk handshake mixes ephemerals into the key, so that it differs every time. */
  readonly #mixesEphemerals: boolean;
  readonly #psks: readonly Uint8Array[];
  readonly #otherPsks: readonly Uint8Array[];
  /** Which psk the peer has: 0 is the one of `psks`, from 1 on those of `otherPsks`. */
  usedPsk = 0;
  readonly #ephemeralForTests: Uint8Array | undefined;
  readonly #kemForTests: Uint8Array | undefined;
  #s: KeyPair | undefined;
  #e: KeyPair | undefined;
  #rs: Uint8Array | undefined;
  #re: Uint8Array | undefined;
  #e1: MlKem768KeyPair | undefined;
  #re1: Uint8Array | undefined;
  #nextPsk = 0;

  /** @param keys checked; copied here */
  constructor(
    pattern: HandshakePattern,
    initiator: boolean,
    prologue: Uint8Array,
    keys: CheckedKeys,
    cipher: CipherName | undefined,
  ) {
    this.#initiator = initiator;
    this.#mixesEphemerals = pattern.pskCount > 0;
    this.symmetric = new SymmetricState(protocolName(pattern, cipher));
    this.symmetric.mixHash(prologue);

    const { s, rs, psks, unsafeEphemeralForTests, unsafeKemForTests } = keys;
    this.#ephemeralForTests = unsafeEphemeralForTests && new Uint8Array(unsafeEphemeralForTests);
    this.#kemForTests = unsafeKemForTests && new Uint8Array(unsafeKemForTests);
    if (isBytes(s)) this.#s = dhFunctions.generateKeyPair(s);
    else if (s) {
      this.#s = { privateKey: secretCopy(s.privateKey), publicKey: new Uint8Array(s.publicKey) };
    }
    if (rs !== undefined) this.#rs = new Uint8Array(rs);
    this.#psks = psks.map(secretCopy);
    this.#otherPsks = keys.otherPsks.map(secretCopy);
    const [initiatorStatic, responderStatic] = initiator
      ? [this.#s?.publicKey, this.#rs]
      : [this.#rs, this.#s?.publicKey];
    if (pattern.initiatorStaticKnown) this.symmetric.mixHash(initiatorStatic!);
    if (pattern.responderStaticKnown) this.symmetric.mixHash(responderStatic!);
  }

  /** The peer's static public key as soon as it is known: a copy of its 32 bytes. */
  get remoteStaticKey(): Uint8Array | undefined {
    return this.#rs && new Uint8Array(this.#rs);
  }

  /** Processes a token of a message that this side writes: `append` takes its bytes for the wire. */
  write(token: Token, append: (bytes: Uint8Array) => void): void {
    if (token === "e") append(this.#writeE());
    else if (token === "s") append(this.symmetric.encryptAndHash(this.#s!.publicKey));
    else if (token === "e1") append(this.#writeE1());
    else if (token === "ekem1") append(this.#writeEkem1());
    else this.#mix(token);
  }

  /**
   * Processes a token of a message that this side reads: `take` returns the next bytes of it, in memory of their own.
   */
  read(token: Token, take: (length: number) => Uint8Array): void {
    if (token === "e") this.#readE(take(DHLEN));
    else if (token === "s") this.#rs = this.#open(take, DHLEN);
    else if (token === "e1") this.#re1 = this.#open(take, KEMPUBLICKEYLEN);
    else if (token === "ekem1") this.#readEkem1(this.#open(take, KEMCIPHERTEXTLEN));
    else this.#mix(token);
  }

  /**
   * Before a psk token at the end of a message that is read: finds the psk that opens the payload. All are tried,
   * whichever fits. If none fits, the first one stays, and reading fails as with one psk.
   */
  choosePsk(sealedPayload: Uint8Array): void {
    if (this.#otherPsks.length === 0) return;
    const opens = [this.#psks[0]!, ...this.#otherPsks].map((psk) =>
      this.symmetric.wouldOpen(psk, sealedPayload),
    );
    this.usedPsk = Math.max(opens.indexOf(true), 0);
  }

  /** Wipes every secret. The handshake hash and the peer's static key stay readable. Idempotent. */
  wipe(): void {
    this.symmetric.destroy();
    this.#s?.privateKey.fill(0);
    this.#e?.privateKey.fill(0);
    this.#s = undefined;
    this.#e = undefined;
    this.#ephemeralForTests?.fill(0);
    this.#wipeE1();
    this.#kemForTests?.fill(0);
    for (const psk of [...this.#psks, ...this.#otherPsks]) psk.fill(0);
  }

  #open(take: (length: number) => Uint8Array, length: number): Uint8Array {
    return this.symmetric.decryptAndHash(take(length + (this.symmetric.hasKey ? TAGLEN : 0)));
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
    this.symmetric.mixHash(publicKey);
    if (this.#mixesEphemerals) this.symmetric.mixKey(publicKey);
  }

  #writeE1(): Uint8Array {
    this.#e1 = kemFunctions.generateKeyPair(this.#kemForTests);
    return this.symmetric.encryptAndHash(this.#e1.encapsulationKey);
  }

  #writeEkem1(): Uint8Array {
    const { ciphertext, sharedSecret } = kemFunctions.encapsulate(this.#re1!, this.#kemForTests);
    try {
      const sealed = this.symmetric.encryptAndHash(ciphertext);
      this.symmetric.mixKey(sharedSecret);
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
    this.symmetric.mixKey(secret);
    secret.fill(0);
  }

  /** The tokens without bytes on the wire. In "es" the initiator's key is the ephemeral one, in "se" the static one. */
  #mix(token: DhToken | "psk"): void {
    if (token === "psk") {
      const psk = this.usedPsk === 0 ? this.#psks[this.#nextPsk++]! : this.#otherPsks[this.usedPsk - 1]!;
      this.symmetric.mixKeyAndHash(psk);
      return;
    }
    const [mine, theirs] = this.#initiator ? [token[0], token[1]] : [token[1], token[0]];
    const shared = dhFunctions.dh(
      (mine === "e" ? this.#e : this.#s)!,
      (theirs === "e" ? this.#re : this.#rs)!,
    );
    this.#mixSecret(shared);
  }
}
