// Makes the factory of handshakes from the options that identify this side and its peers.

import { invalidArgument } from "../base/errors.ts";
import { copyOf, isBytes } from "../core/bytes.ts";
import type { HandshakeFactory, Role } from "../protocol/handshake.ts";
import { noise } from "../protocol/noise/noiseFactory.ts";
import { checkCredentials, type PeerOptions, peerOptionNames } from "../protocol/noise/noiseOptions.ts";
import { type OtherKeys, serverKeys } from "../protocol/noise/severalKeys.ts";

/** The options that a handshake is made of. */
export type KeyOptions = PeerOptions & OtherKeys & { handshake?: HandshakeFactory };

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option */
export function resolveHandshake(role: Role, options: KeyOptions): HandshakeFactory {
  const { handshake } = options;
  checkCredentials(options);
  const given = peerOptionNames.filter((name) => options[name] !== undefined);
  const peer: PeerOptions = Object.fromEntries(given.map((name) => [name, options[name]]));
  if (handshake === undefined)
    return role === "server" ? serverKeys(peer, options) : clientKeys(peer, options);
  if (typeof handshake?.create !== "function") throw invalidArgument("handshake", "a HandshakeFactory");
  const names = [...peerOptionNames, "otherPsks", "otherStaticKeys"] as const;
  const other = names.find((name) => options[name] !== undefined);
  if (other !== undefined)
    throw invalidArgument(other, "left out, or given to the handshake, with the option handshake");
  return handshake;
}

function clientKeys(peer: PeerOptions, { otherPsks }: OtherKeys): HandshakeFactory {
  if (otherPsks === undefined) return noise(peer, "client");
  if (peer.psk === undefined) throw invalidArgument("otherPsks", "given with psk");
  return noise({ ...peer, otherPsks }, "client");
}

/** What a peer has to prove by the options of a server. */
export interface Proof {
  /** That it has a psk. */
  readonly psk: boolean;
  /** That it has a key which the server knows, or asks its application about. */
  readonly key: boolean;
}

export function proofOf({ psk, remoteStatic, authorize }: KeyOptions): Proof {
  return { psk: psk !== undefined, key: remoteStatic !== undefined || authorize !== undefined };
}

/**
 * The options on which both ends agree, in memory of their own: further handshakes are made from them later, when the
 * caller may have changed its list or its bytes.
 */
export function agreedOptions({ pattern, postQuantum, cipher, prologue }: PeerOptions) {
  return {
    pattern,
    postQuantum,
    cipher: Array.isArray(cipher) ? [...cipher] : cipher,
    prologue: isBytes(prologue) ? copyOf(prologue) : prologue,
  };
}

/**
 * Makes the handshakes of a server for other keys. Everything else about them stays as the options are now, whatever
 * becomes of the options. `proof`: undefined with the option `handshake`.
 */
export function reloadableKeys(options: KeyOptions) {
  const { handshake } = options;
  const agreed = agreedOptions(options);
  const makeKeys = (keys: KeyOptions): HandshakeFactory => {
    if (handshake !== undefined) throw invalidArgument("reload", "left alone with the option handshake");
    return resolveHandshake("server", { ...agreed, ...keys });
  };
  return { makeKeys, proof: handshake === undefined ? proofOf(options) : undefined };
}
