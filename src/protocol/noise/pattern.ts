// Handshake patterns, and the rules that make one valid: Noise (revision 34) sections 7.1, 7.3 and 9.3, and the rules
// for the tokens of the HFS extension (revision 1, section 4). A pattern that breaks a rule is no protocol, so every
// pattern passes `checkPattern` before it is used.

import { invalidArgument } from "../../base/errors.ts";

const TOKENS = ["e", "s", "ee", "es", "se", "ss", "psk", "e1", "ekem1"] as const;
/** A Diffie-Hellman of Noise: whose ephemeral (e) or static (s) key, the initiator's first. */
export type DhToken = "ee" | "es" | "se" | "ss";
/** "e1" and "ekem1" are a KEM's ephemeral encapsulation key and a ciphertext for it (HFS section 4). */
export type Token = "e" | "s" | DhToken | "psk" | "e1" | "ekem1";

export function isDh(token: Token): token is DhToken {
  return token === "ee" || token === "es" || token === "se" || token === "ss";
}

/** Whether the pattern has a hybrid key exchange: the modifier "hfs". */
export function isHybrid(pattern: Pick<HandshakePattern, "messages">): boolean {
  return pattern.messages.some((tokens) => tokens.includes("e1"));
}

/** A handshake pattern of Noise (section 7). */
export interface HandshakePattern {
  /** As in the protocol name, modifiers included, e.g. "XXhfs+psk3". */
  readonly name: string;
  /** The initiator's static key is known to the responder before the first message. */
  readonly initiatorStaticKnown: boolean;
  /** The responder's static key is known to the initiator before the first message. */
  readonly responderStaticKnown: boolean;
  /** The tokens of each message; the initiator writes the first, then both take turns. */
  readonly messages: readonly (readonly Token[])[];
  /** How many pre-shared keys the pattern mixes in. */
  readonly pskCount: number;
}

interface Party {
  readonly hasSentE: boolean;
  readonly s: boolean;
}

/** For each side's private key, the DH that must accompany a DH with the other side's static key (rule 4). */
const companion: Readonly<
  Record<"initiator" | "responder", ReadonlyArray<readonly [used: Token, needs: Token]>>
> = {
  initiator: [
    ["se", "ee"],
    ["ss", "es"],
  ],
  responder: [
    ["es", "ee"],
    ["ss", "se"],
  ],
};

function broken(pattern: HandshakePattern, why: string): Error {
  return invalidArgument("pattern", `a valid Noise pattern; "${pattern.name}" ${why}`);
}

/**
 * The characters of Noise section 8. An underscore would end the name within the protocol's name, and what follows could
 * name another cipher than the one that runs. With a name of this length the protocol's stays below 255 bytes.
 */
const PATTERN_NAME = /^[A-Za-z0-9/+]{1,200}$/;

/** Patterns that `checkedPattern` made. They are frozen, so they stay as they were checked. */
const checked = new WeakSet<object>();

/**
 * A frozen copy of a pattern, read once, whose members have their declared types.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the part
 */
function copyOf(pattern: unknown): HandshakePattern {
  if (typeof pattern !== "object" || pattern === null) throw invalidArgument("pattern", "a HandshakePattern");
  const { name, initiatorStaticKnown, responderStaticKnown, messages, pskCount } =
    pattern as HandshakePattern;
  if (typeof name !== "string" || !PATTERN_NAME.test(name))
    throw invalidArgument("pattern.name", 'of 1 to 200 letters, digits, "/" and "+"');
  for (const known of [initiatorStaticKnown, responderStaticKnown]) {
    if (typeof known !== "boolean") {
      throw invalidArgument("pattern.initiatorStaticKnown and responderStaticKnown", "true or false");
    }
  }
  if (typeof pskCount !== "number") throw invalidArgument("pattern.pskCount", "a number");
  const isList = Array.isArray(messages) && messages.every((tokens) => Array.isArray(tokens));
  if (!isList) throw invalidArgument("pattern.messages", "a list of lists of tokens");
  const copies = messages.map((tokens) => Object.freeze([...tokens]));
  if (!copies.flat().every((token) => TOKENS.includes(token))) {
    throw invalidArgument("pattern.messages", `made of the tokens ${TOKENS.join(", ")}`);
  }
  return Object.freeze({
    name,
    initiatorStaticKnown,
    responderStaticKnown,
    messages: Object.freeze(copies),
    pskCount,
  });
}

/**
 * A pattern whose members have the right types: one of this package's as it is, any other as a copy.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function wellFormed(pattern: HandshakePattern): HandshakePattern {
  return checked.has(pattern) ? pattern : copyOf(pattern);
}

/**
 * A pattern that obeys the rules, frozen, so that the owner of the original can't change it.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the part, or the rule that it breaks
 */
export function checkedPattern(pattern: HandshakePattern): HandshakePattern {
  if (checked.has(pattern)) return pattern;
  const copy = copyOf(pattern);
  checkRules(copy);
  checked.add(copy);
  return copy;
}

/**
 * Checks a pattern against the rules of section 7.3.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the part that is malformed, or the rule that it breaks
 */
export function checkPattern(pattern: HandshakePattern): void {
  checkedPattern(pattern);
}

/** The numbers are those of section 7.3. */
function checkRules(pattern: HandshakePattern): void {
  const { messages } = pattern;
  if (messages.length === 0) throw broken(pattern, "has no message");
  const initiator = { hasSentE: false, s: pattern.initiatorStaticKnown };
  const responder = { hasSentE: false, s: pattern.responderStaticKnown };
  const done = new Set<Token>();
  for (const [i, tokens] of messages.entries()) {
    const role = i % 2 === 0 ? "initiator" : "responder";
    const sender = role === "initiator" ? initiator : responder;
    if (tokens.length === 0) throw broken(pattern, `has an empty message ${i + 1}`);
    for (const token of tokens) {
      if (token === "s") checkMayEncrypt(pattern, role, sender, done);
      if (token === "e") {
        if (sender.hasSentE) throw broken(pattern, "sends an ephemeral key twice (rule 2)");
        sender.hasSentE = true;
      } else if (token === "s") {
        if (sender.s) throw broken(pattern, "sends a static key twice (rule 2)");
        sender.s = true;
      } else {
        if (isDh(token)) checkDh(pattern, token, initiator, responder, done);
        else if (token !== "psk") checkKem(pattern, token, role, sender, done);
        done.add(token);
      }
    }
    // The payload at the end of every message is encrypted once there is a key.
    checkMayEncrypt(pattern, role, sender, done);
  }
  if (done.has("e1") !== done.has("ekem1")) throw broken(pattern, "has e1 without ekem1 (HFS section 5)");
  // Rule 4 speaks of transport messages too; in a one-way pattern the responder sends none.
  checkMayEncrypt(pattern, "initiator", initiator, done);
  if (messages.length > 1) checkMayEncrypt(pattern, "responder", responder, done);
  if (pattern.pskCount !== messages.flat().filter((token) => token === "psk").length) {
    throw broken(pattern, "does not count its psk tokens right");
  }
}

function checkDh(
  pattern: HandshakePattern,
  token: Token,
  initiator: Party,
  responder: Party,
  done: Set<Token>,
): void {
  if (done.has(token)) throw broken(pattern, `does ${token} twice (rule 3)`);
  const initiatorHas = token.startsWith("e") ? initiator.hasSentE : initiator.s;
  const responderHas = token.endsWith("e") ? responder.hasSentE : responder.s;
  if (!initiatorHas || !responderHas)
    throw broken(pattern, `does ${token} before both keys are known (rule 1)`);
}

/** HFS: once each, the initiator's key after its "e", the responder's ciphertext for it after "ee". */
function checkKem(
  pattern: HandshakePattern,
  token: "e1" | "ekem1",
  role: "initiator" | "responder",
  sender: Party,
  done: Set<Token>,
): void {
  if (done.has(token)) throw broken(pattern, `has ${token} twice (HFS section 5)`);
  const mayFollow =
    token === "e1"
      ? role === "initiator" && sender.hasSentE
      : role === "responder" && done.has("ee") && done.has("e1");
  if (!mayFollow) throw broken(pattern, `has ${token} where it has no place (HFS section 5)`);
}

/**
 * Rule 4: a side that used its static key must have mixed in its own ephemeral with the same remote key before it
 * encrypts. Section 9.3: a side that used a psk must have sent an ephemeral. Otherwise a key could repeat.
 */
function checkMayEncrypt(
  pattern: HandshakePattern,
  role: "initiator" | "responder",
  sender: Party,
  done: Set<Token>,
): void {
  for (const [used, needs] of companion[role]) {
    if (done.has(used) && !done.has(needs)) {
      throw broken(pattern, `lets the ${role} encrypt after ${used} without ${needs} (rule 4)`);
    }
  }
  if (done.has("psk") && !sender.hasSentE) {
    throw broken(pattern, `lets the ${role} encrypt after psk before it sent an ephemeral key (section 9.3)`);
  }
}
