// Handshake patterns as data: the Noise Protocol Framework (revision 34), sections 7.4 (one-way), 7.5
// (fundamental), 18.1 (deferred), the psk modifiers of section 9, and the modifier hfs of the extension for hybrid
// forward secrecy (revision 1, section 5) with ML-KEM-768. Nothing here is secret.
//
// A row reads as in the specification, one message after the other from the initiator on; "s < s" before the
// bar are the pre-messages: static keys known up front, the initiator's, then the responder's.

import { invalidArgument } from "../../base/errors.ts";
import { MLKEM768_CIPHERTEXT_BYTES, MLKEM768_ENCAPSULATION_KEY_BYTES } from "../../core/mlKem768.ts";
import type { CipherName } from "../handshake.ts";
import { KEY_BYTES, TAG_BYTES } from "../wire.ts";
import { checkedPattern, type HandshakePattern, isDh, isHybrid, type Token, wellFormed } from "./pattern.ts";

export { HASHLEN, KEYLEN } from "../../core/noiseHash.ts";
/** Lengths in bytes (sections 4.1, 4.2 and 9.1) for 25519 and either cipher. */
export const DHLEN = KEY_BYTES;
export const TAGLEN = TAG_BYTES;
export const PSKLEN = KEY_BYTES;
/** HFS section 3, for MLKEM768. */
export const KEMPUBLICKEYLEN = MLKEM768_ENCAPSULATION_KEY_BYTES;
export const KEMCIPHERTEXTLEN = MLKEM768_CIPHERTEXT_BYTES;
/** Section 3: no Noise message is longer. */
export const MAX_MESSAGE_BYTES = 65_535;

/** name: [pre-messages, messages], arrows left out because the writers alternate. */
const table: Readonly<
  Record<string, readonly [preMessages: "" | "->s" | "<-s" | "->s <-s", messages: string]>
> = {
  // One-way (7.4).
  N: ["<-s", "e es"],
  K: ["->s <-s", "e es ss"],
  X: ["<-s", "e es s ss"],
  // Fundamental interactive (7.5).
  NN: ["", "e, e ee"],
  NK: ["<-s", "e es, e ee"],
  NX: ["", "e, e ee s es"],
  XN: ["", "e, e ee, s se"],
  XK: ["<-s", "e es, e ee, s se"],
  XX: ["", "e, e ee s es, s se"],
  KN: ["->s", "e, e ee se"],
  KK: ["->s <-s", "e es ss, e ee se"],
  KX: ["->s", "e, e ee se s es"],
  IN: ["", "e s, e ee se"],
  IK: ["<-s", "e es s ss, e ee se"],
  IX: ["", "e s, e ee se s es"],
  // Deferred (18.1): a "1" moves a party's authentication one message later.
  NK1: ["<-s", "e, e ee es"],
  NX1: ["", "e, e ee s, es"],
  X1N: ["", "e, e ee, s, se"],
  X1K: ["<-s", "e es, e ee, s, se"],
  XK1: ["<-s", "e, e ee es, s se"],
  X1K1: ["<-s", "e, e ee es, s, se"],
  X1X: ["", "e, e ee s es, s, se"],
  XX1: ["", "e, e ee s, es s se"],
  X1X1: ["", "e, e ee s, es s, se"],
  K1N: ["->s", "e, e ee, se"],
  K1K: ["->s <-s", "e es, e ee, se"],
  KK1: ["->s <-s", "e, e ee se es"],
  K1K1: ["->s <-s", "e, e ee es, se"],
  K1X: ["->s", "e, e ee s es, se"],
  KX1: ["->s", "e, e ee se s, es"],
  K1X1: ["->s", "e, e ee s, se es"],
  I1N: ["", "e s, e ee, se"],
  I1K: ["<-s", "e es s, e ee, se"],
  IK1: ["<-s", "e s, e ee se es"],
  I1K1: ["<-s", "e s, e ee es, se"],
  I1X: ["", "e s, e ee s es, se"],
  IX1: ["", "e s, e ee se s, es"],
  I1X1: ["", "e s, e ee s, se es"],
};

/** The base names that `parsePattern` knows, without modifiers. */
export const patternNames: readonly string[] = Object.freeze(Object.keys(table));

/** The twelve interactive patterns of section 7.5. */
export const fundamentalPatternNames: readonly string[] = patternNames.filter((name) =>
  /^[NXKI][NXK]$/.test(name),
);

const parsed = new Map<string, HandshakePattern>();

/**
 * The pattern of a name such as "XX", "NNpsk0", "KNpsk0+psk2" or "XXhfs+psk3" (section 8: modifiers in ascending order,
 * hfs first), frozen.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT for an unknown name, a modifier that does not fit the pattern, or a
 * combination that the rules of sections 7.3 and 9.3 forbid (for example "XXpsk0+psk0").
 */
export function parsePattern(name: string): HandshakePattern {
  if (typeof name !== "string") throw invalidArgument("pattern", "the name of a Noise pattern");
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const match = /^([A-Z]1?(?:[A-Z]1?)?)((?:hfs|psk\d)?(?:\+psk\d)*)$/.exec(name);
  const row = match === null ? undefined : table[match[1]!];
  if (match === null || row === undefined) {
    throw invalidArgument("pattern", `a Noise pattern such as "XX" or "NNpsk0", not "${name}"`);
  }
  const [preMessages, messages] = row;
  const base: HandshakePattern = {
    name,
    initiatorStaticKnown: preMessages.includes("->s"),
    responderStaticKnown: preMessages.includes("<-s"),
    messages: messages.split(", ").map((tokens) => tokens.split(" ") as Token[]),
    pskCount: 0,
  };
  const modifiers = match[2]!;
  const applied = applyPskModifiers(modifiers, modifiers.startsWith("hfs") ? applyHfs(base) : base);
  const pattern = checkedPattern(applied);
  parsed.set(name, pattern);
  return pattern;
}

/**
 * HFS section 5: "e1" follows the first "e", or the first DH of that message if there is one; "ekem1" follows the first
 * "ee". The specification's table differs for KK ("e, e1, es, ss") and loses the "ee" of IN. This function follows the
 * rule and the other rows.
 */
function applyHfs(pattern: HandshakePattern): HandshakePattern {
  const [first, second, ...rest] = pattern.messages.map((tokens) => [...tokens]);
  const ee = second?.indexOf("ee") ?? -1;
  if (ee < 0) {
    throw invalidArgument(
      "pattern",
      `without hfs: nothing of "${pattern.name}" is answered with an ephemeral key`,
    );
  }
  const dh = first!.findIndex(isDh);
  first!.splice((dh < 0 ? first!.indexOf("e") : dh) + 1, 0, "e1");
  second!.splice(ee + 1, 0, "ekem1");
  return { ...pattern, messages: [first!, second!, ...rest] };
}

/** Section 9.4: psk0 goes before the first token of the first message, pskN after the last of message N. */
function applyPskModifiers(modifiers: string, pattern: HandshakePattern): HandshakePattern {
  const positions = [...modifiers.matchAll(/psk(\d)/g)].map((match) => Number(match[1]));
  const messages = pattern.messages.map((tokens) => [...tokens]);
  for (const [i, position] of positions.entries()) {
    if (i > 0 && position <= positions[i - 1]!) {
      throw invalidArgument(
        "pattern",
        `written with its modifiers in ascending order, not "${pattern.name}"`,
      );
    }
    if (position === 0) messages[0]!.unshift("psk");
    else if (position <= messages.length) messages[position - 1]!.push("psk");
    else
      throw invalidArgument(
        "pattern",
        `without psk${position}: "${pattern.name}" has no message ${position}`,
      );
  }
  return { ...pattern, messages, pskCount: positions.length };
}

/** The names that a cipher can have, the default first. */
export const cipherNames: readonly CipherName[] = ["AESGCM", "ChaChaPoly"];

/**
 * "Noise_<pattern>_25519_AESGCM_BLAKE2b" (section 8), with "25519+MLKEM768" where it is hybrid (HFS section 5).
 *
 * @param cipher "AESGCM" (default) or "ChaChaPoly"
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function protocolName(pattern: HandshakePattern, cipher: CipherName = "AESGCM"): string {
  const { name, messages } = wellFormed(pattern);
  checkCipher(cipher);
  return `Noise_${name}_25519${isHybrid({ messages }) ? "+MLKEM768" : ""}_${cipher}_BLAKE2b`;
}

/** @throws SealwireError ERR_INVALID_ARGUMENT */
export function checkCipher(cipher: unknown): asserts cipher is CipherName {
  if (!cipherNames.includes(cipher as CipherName))
    throw invalidArgument("cipher", '"AESGCM" or "ChaChaPoly"');
}

/**
 * The length in bytes of each message with an empty payload: the bytes of keys and tags. A message with a payload is
 * longer by exactly the payload.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function messageLengths(pattern: HandshakePattern): number[] {
  const { messages, pskCount } = wellFormed(pattern);
  let hasKey = false;
  return messages.map((tokens) => {
    let length = 0;
    for (const token of tokens) {
      if (token === "e") length += DHLEN;
      else if (token === "s") length += DHLEN + (hasKey ? TAGLEN : 0);
      else if (token === "e1") length += KEMPUBLICKEYLEN + (hasKey ? TAGLEN : 0);
      else if (token === "ekem1") length += KEMCIPHERTEXTLEN + (hasKey ? TAGLEN : 0);
      if (token === "psk" || token === "ekem1" || isDh(token)) hasKey = true;
      // Section 9.2: with any psk in the pattern, "e" is mixed into the key as well.
      else if (token === "e" && pskCount > 0) hasKey = true;
    }
    return length + (hasKey ? TAGLEN : 0);
  });
}
