// Which handshake the options ask for. Both ends decide alone and must arrive at the same pattern:
//
//   client has                       client speaks     server has                server accepts
//   nothing                          NN                nothing                   NN
//   psk                              NNpsk0            psk                       NNpsk0
//   staticKey                        XX                staticKey                 XX and IK
//   staticKey, one remoteStatic      IK                staticKey                 XX and IK
//   staticKey, psk                   XXpsk3            staticKey, psk            XXpsk3 and IKpsk2
//   staticKey, one remoteStatic, psk IKpsk2            staticKey, psk            XXpsk3 and IKpsk2
//   pattern: P                       P                 pattern: P                P only
//
// The cipher is AESGCM unless `cipher` names another: a client names one, a server accepts those of its list.
//
// Each name stands for its hybrid form (XXhfs, NNhfs+psk0 …) unless `postQuantum` changes that. A client with false
// speaks the classical form. A server accepts the hybrid form only, both with "accept", and the classical one with
// false. The suite in the first frame tells a server which of the two it is.
//
// A server distinguishes XX from IK by the length of the first message, so clients that know its key and clients that
// don't can use the same server. It has no way to tell a client that it knows the client's key, so both ends must name
// KK.

import { invalidArgument } from "../../base/errors.ts";
import type { CipherName, Role } from "../handshake.ts";
import type { HandshakePattern } from "./pattern.ts";
import { fundamentalPatternNames, parsePattern } from "./patterns.ts";
import type { NoiseProtocol } from "./suites.ts";

/** See `PeerOptions.postQuantum`. */
export type PostQuantum = boolean | "accept";

/** The facts that the choice depends on. */
export interface Credentials {
  readonly hasPsk: boolean;
  readonly hasStaticKey: boolean;
  /** The number of public keys in `remoteStatic`. */
  readonly remoteStatics: number;
  readonly hasAuthorize: boolean;
  readonly pattern: string | undefined;
  readonly postQuantum: PostQuantum;
  /** The ciphers of the option `cipher`, without repetition. */
  readonly ciphers: readonly CipherName[];
}

/** The place of the psk if the options give one and the pattern's name does not say it (section 10.2's advice). */
const defaultPskPosition: Readonly<Record<string, number>> = {
  NN: 0,
  NK: 0,
  NX: 2,
  XN: 3,
  XK: 3,
  XX: 3,
  KN: 0,
  KK: 0,
  KX: 2,
  IN: 2,
  IK: 2,
  IX: 2,
};

/**
 * The protocols that this side can run, exactly one for a client.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming what is missing or not allowed
 */
export function chooseProtocols(role: Role, credentials: Credentials): NoiseProtocol[] {
  const { ciphers } = credentials;
  if (ciphers.length > 1 && role === "client") {
    throw invalidArgument("cipher", "one name on a client; a list of several is for servers");
  }
  const patterns = choosePatterns(role, credentials);
  return ciphers.flatMap((cipher) => patterns.map((pattern) => ({ pattern, cipher })));
}

function choosePatterns(role: Role, credentials: Credentials): HandshakePattern[] {
  const { postQuantum } = credentials;
  if (postQuantum === "accept" && role === "client") {
    throw invalidArgument(
      "postQuantum",
      'true or false on a client, which names one; "accept" is for servers',
    );
  }
  const classical = classicalPatterns(role, credentials);
  if (postQuantum === false) return classical;
  const hybrid = classical.map(withHfs);
  return postQuantum === "accept" ? [...hybrid, ...classical] : hybrid;
}

/** The hybrid form of a pattern with at most one modifier. */
function withHfs({ name }: HandshakePattern): HandshakePattern {
  return parsePattern(name.includes("psk") ? name.replace("psk", "hfs+psk") : `${name}hfs`);
}

function classicalPatterns(role: Role, credentials: Credentials): HandshakePattern[] {
  if (credentials.pattern !== undefined) return [explicitPattern(role, credentials.pattern, credentials)];
  const { hasPsk, hasStaticKey, remoteStatics, hasAuthorize } = credentials;
  if (!hasStaticKey) {
    const peerPattern = role === "client" ? "NK" : "KN";
    if (remoteStatics > 0) {
      throw invalidArgument(
        "staticKey",
        `given together with remoteStatic (or name pattern: "${peerPattern}")`,
      );
    }
    if (hasAuthorize) throw invalidArgument("staticKey", "given together with authorize");
    return [withPsk("NN", hasPsk)];
  }
  if (role === "server") return [withPsk("XX", hasPsk), withPsk("IK", hasPsk)];
  return [withPsk(remoteStatics === 1 ? "IK" : "XX", hasPsk)];
}

function withPsk(base: string, hasPsk: boolean): HandshakePattern {
  return parsePattern(hasPsk ? `${base}psk${defaultPskPosition[base]}` : base);
}

/** The classical form of the pattern that the options name, which may be given in its hybrid form. */
function explicitPattern(role: Role, given: string, credentials: Credentials): HandshakePattern {
  const name = given.replace(/^([A-Z]{2})hfs(?:\+(?=psk)|$)/, "$1");
  if (name !== given && credentials.postQuantum !== true) {
    throw invalidArgument("postQuantum", `true or left out for pattern "${given}"`);
  }
  const base = name.replace(/psk.*$/, "");
  if (!fundamentalPatternNames.includes(base)) {
    throw invalidArgument(
      "pattern",
      `one of ${fundamentalPatternNames.join(", ")}, with or without a psk modifier`,
    );
  }
  const pattern = name === base ? withPsk(base, credentials.hasPsk) : parsePattern(name);
  if (pattern.pskCount > 1) throw invalidArgument("pattern", `with one psk modifier, not "${name}"`);
  const needsPsk = pattern.pskCount > 0;
  if (needsPsk && !credentials.hasPsk) throw invalidArgument("psk", `given for pattern "${name}"`);

  const mine = usesStatic(pattern, role);
  if (mine && !credentials.hasStaticKey)
    throw invalidArgument("staticKey", `given for pattern "${name}" on a ${role}`);
  if (!mine && credentials.hasStaticKey) {
    throw invalidArgument("staticKey", `left out: a ${role} of pattern "${name}" has no static key`);
  }
  const peer = role === "client" ? "server" : "client";
  if (!usesStatic(pattern, peer) && (credentials.remoteStatics > 0 || credentials.hasAuthorize)) {
    const option = credentials.remoteStatics > 0 ? "remoteStatic" : "authorize";
    throw invalidArgument(option, `left out: pattern "${name}" proves no static key of the ${peer}`);
  }
  if (peerStaticKnown(pattern, role) && credentials.remoteStatics !== 1) {
    throw invalidArgument("remoteStatic", `exactly one key for pattern "${name}" on a ${role}`);
  }
  return pattern;
}

/** Whether the pattern gives this role a static key, known before the handshake or sent. */
function usesStatic(pattern: HandshakePattern, role: Role): boolean {
  const known = role === "client" ? pattern.initiatorStaticKnown : pattern.responderStaticKnown;
  const parity = role === "client" ? 0 : 1;
  return known || pattern.messages.some((tokens, i) => i % 2 === parity && tokens.includes("s"));
}

/** Whether this role must know the other's static key before the first message. */
export function peerStaticKnown(pattern: HandshakePattern, role: Role): boolean {
  return role === "client" ? pattern.responderStaticKnown : pattern.initiatorStaticKnown;
}
