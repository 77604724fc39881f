// The options of a HandshakeState, and the check that a side has exactly the keys that its pattern needs.

import { invalidArgument } from "../../base/errors.ts";
import { isBytes, requireBytes, requireBytesOf } from "../../core/bytes.ts";
import { MLKEM768_RANDOMNESS_BYTES, MLKEM768_SEED_BYTES } from "../../core/mlKem768.ts";
import type { CipherName } from "../handshake.ts";
import type { KeyPair } from "./dh.ts";
import { type HandshakePattern, isHybrid } from "./pattern.ts";
import { DHLEN, PSKLEN } from "./patterns.ts";

/** Options of `HandshakeState`. */
export interface HandshakeStateOptions {
  /** A name such as "XX", "NNpsk0" or "XXhfs", or a pattern of your own, whose validity is checked. */
  pattern: string | HandshakePattern;
  /** Whether this side writes the first message. */
  initiator: boolean;
  /** "AESGCM" (default) or "ChaChaPoly". */
  cipher?: CipherName;
  /** Data that both sides must agree on, at most 131,072 bytes; empty by default. */
  prologue?: Uint8Array;
  /** The static key: 32 private bytes, or the pair (which saves a multiplication). Copied. */
  s?: Uint8Array | KeyPair;
  /** The peer's static public key, 32 bytes, if the pattern has it as a pre-message. */
  rs?: Uint8Array;
  /** One 32-byte key per psk token, in the order of the tokens. Copied. */
  psks?: readonly Uint8Array[];
  /**
   * Keys that the peer may have in place of the one in `psks`, 32 bytes each. Only for a pattern with one psk token, at
   * the end of a message that this side reads, such as the responder's of XXpsk3. All are tried. Copied.
   */
  otherPsks?: readonly Uint8Array[];
  /** The ephemeral private key, 32 bytes. For test vectors only: a repeated ephemeral reveals everything. */
  unsafeEphemeralForTests?: Uint8Array;
  /**
   * With "hfs": the seed of the KEM's key pair (64 bytes) for the initiator, the randomness of the encapsulation (32) for
   * the responder. For test vectors only.
   */
  unsafeKemForTests?: Uint8Array;
}

export const stateOptionNames: readonly string[] = [
  "pattern",
  "initiator",
  "cipher",
  "prologue",
  "s",
  "rs",
  "psks",
  "otherPsks",
  "unsafeEphemeralForTests",
  "unsafeKemForTests",
] satisfies (keyof HandshakeStateOptions)[];

/** The keys among the options, each read once. */
export interface CheckedKeys
  extends Pick<HandshakeStateOptions, "s" | "rs" | "unsafeEphemeralForTests" | "unsafeKemForTests"> {
  readonly psks: readonly Uint8Array[];
  readonly otherPsks: readonly Uint8Array[];
}

/** Whether the pattern's one psk is used at the end of a message that this side reads. */
export function readsPskLast({ messages, pskCount }: HandshakePattern, initiator: boolean): boolean {
  return (
    pskCount === 1 && messages.some((tokens, i) => i % 2 === (initiator ? 1 : 0) && tokens.at(-1) === "psk")
  );
}

/**
 * Checks that every key that the pattern needs is there and well-formed, and no other key.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function checkKeys(pattern: HandshakePattern, initiator: boolean, keys: CheckedKeys): void {
  const { s, rs, psks, otherPsks, unsafeEphemeralForTests, unsafeKemForTests } = keys;
  const role = initiator ? "initiator" : "responder";
  const writesS = pattern.messages.some((tokens, i) => (i % 2 === 0) === initiator && tokens.includes("s"));
  const needsS = writesS || (initiator ? pattern.initiatorStaticKnown : pattern.responderStaticKnown);
  const needsRs = initiator ? pattern.responderStaticKnown : pattern.initiatorStaticKnown;
  if (needsS && s === undefined)
    throw invalidArgument("s", `given: the ${role} of ${pattern.name} has a static key`);
  if (!needsS && s !== undefined)
    throw invalidArgument("s", `left out: the ${role} of ${pattern.name} has no static key`);
  if (needsRs && rs === undefined)
    throw invalidArgument("rs", `given: the ${role} of ${pattern.name} knows it up front`);
  if (!needsRs && rs !== undefined)
    throw invalidArgument("rs", `left out: ${pattern.name} does not know it up front`);
  if (rs !== undefined) requireBytesOf("rs", rs, DHLEN);
  if (isBytes(s)) requireBytesOf("s", s, DHLEN);
  else if (s !== undefined) {
    requireBytesOf("s.privateKey", s?.privateKey, DHLEN);
    requireBytesOf("s.publicKey", s?.publicKey, DHLEN);
  }
  if (!Array.isArray(psks) || psks.length !== pattern.pskCount) {
    throw invalidArgument("psks", `${pattern.pskCount} keys for ${pattern.name}`);
  }
  requirePsks("psks", psks);
  if (!Array.isArray(otherPsks)) throw invalidArgument("otherPsks", "a list of keys");
  if (otherPsks.length > 0 && !readsPskLast(pattern, initiator))
    throw invalidArgument(
      "otherPsks",
      `left out: the ${role} of ${pattern.name} reads no psk at a message's end`,
    );
  requirePsks("otherPsks", otherPsks);
  if (unsafeEphemeralForTests !== undefined) {
    requireBytesOf("unsafeEphemeralForTests", unsafeEphemeralForTests, DHLEN);
  }
  if (unsafeKemForTests === undefined) return;
  const bytes = initiator ? MLKEM768_SEED_BYTES : MLKEM768_RANDOMNESS_BYTES;
  requireBytesOf("unsafeKemForTests", unsafeKemForTests, bytes);
  if (!isHybrid(pattern)) throw invalidArgument("unsafeKemForTests", "left out: the pattern has no hfs");
}

function requirePsks(name: string, psks: readonly Uint8Array[]): void {
  for (const psk of psks) {
    requireBytes(name, psk, "keys of 32 bytes");
    if (psk.length !== PSKLEN) throw invalidArgument(name, "keys of 32 bytes");
  }
}
