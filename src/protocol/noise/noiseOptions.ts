// The options of protocol v2's handshake, checked and decoded for a handshake.

import { invalidArgument } from "../../base/errors.ts";
import { checkOptionNames } from "../../base/options.ts";
import { requireBytes, requireBytesUpTo } from "../../core/bytes.ts";
import { MLKEM768_RANDOMNESS_BYTES, MLKEM768_SEED_BYTES } from "../../core/mlKem768.ts";
import { encodeText } from "../../core/text.ts";
import { secretCopy } from "../../core/wipe.ts";
import type { CipherName, Role } from "../handshake.ts";
import { type Credentials, chooseProtocols, type PostQuantum } from "./choosePattern.ts";
import type { KeyPair } from "./dh.ts";
import { readsPskLast } from "./handshakeStateOptions.ts";
import { decodeKey, type KeyInput, keyPairOf } from "./keys.ts";
import { cipherNames } from "./patterns.ts";
import type { NoiseProtocol } from "./suites.ts";

/** The information that `authorize` gets besides the key. */
export interface AuthorizeInfo {
  /** This side's role. */
  readonly role: Role;
  /**
   * On a client the address that it dialled: "host:port" or the path of a Unix socket. On a server the peer's IP
   * address; empty for a Unix socket.
   */
  readonly remoteAddress: string;
  /** The protocol, e.g. "Noise_XXhfs_25519+MLKEM768_AESGCM_BLAKE2b". */
  readonly protocol: string;
  /**
   * Puts a decision off until the peer's first frame has opened: `decide` is called then, and the connection opens if it
   * answers true. Nothing before proves that the peer takes part now and has the psk, so whatever lasts, such as writing
   * the key down, belongs into `decide`. It is called only if `authorize` answered true, and not if the connection ends
   * before. With XXpsk3 a client's calls may be on their way by then. When `reload` asks about an open connection, `decide`
   * is called as soon as `authorize` has answered true. Undefined: the peer has proven all of that.
   */
  readonly whenProven?: (decide: () => boolean | Promise<boolean>) => void;
}

/**
 * Decides about a peer by its static public key (32 bytes, a copy). Any result but `true` refuses, and so does throwing
 * or rejecting. It may take as long as the handshake time-out allows.
 *
 * On a server with IK or KK it is called after the first message, which an attacker can replay. A decision is safe
 * there. A side effect, such as counting visits, belongs into `info.whenProven`.
 */
export type Authorize = (remoteStaticKey: Uint8Array, info: AuthorizeInfo) => boolean | Promise<boolean>;

/** The keys of this side and its peers, and everything that both ends agree on; options of `connect` and `listen`. */
export interface PeerOptions {
  /** A secret that both ends share: 32 random bytes, not a password. */
  psk?: KeyInput;
  /** This side's static private key, or the pair from `generateKeyPair`. */
  staticKey?: KeyInput | Pick<KeyPair, "privateKey">;
  /** The peer's static public key, or all keys that are accepted. */
  remoteStatic?: KeyInput | readonly KeyInput[];
  /** Called with the peer's static key, after `remoteStatic`. Without either, any key is accepted. */
  authorize?: Authorize;
  /** A pattern such as "KK" or "XXpsk3", instead of the one that the other options mean. */
  pattern?: string;
  /**
   * Whether the key exchange is hybrid, X25519 and ML-KEM-768, so that a quantum computer can't decrypt what is
   * recorded today. true (default): hybrid, and nothing else is accepted. false: X25519 alone. "accept", on servers:
   * the client chooses. Static keys are X25519 in any case: docs/PROTOCOL.md says what this protects and what it does
   * not.
   */
  postQuantum?: boolean | "accept";
  /**
   * The cipher: "AESGCM" (default), AES-256-GCM, or "ChaChaPoly", ChaCha20-Poly1305, which is faster if the processor
   * lacks AES instructions, or the runtime uses them badly (Deno). A client names one and never falls back. A server
   * may have a list, and uses the one that each client names.
   */
  cipher?: CipherName | readonly CipherName[];
  /** Data that both ends must agree on: up to 65,535 bytes, or text. */
  prologue?: Uint8Array | string;
}

/** No option that could authenticate the peer. */
export interface AnonymousOptions {
  /** Left out. */
  psk?: undefined;
  /** Left out. */
  staticKey?: undefined;
  /** Left out. */
  remoteStatic?: undefined;
  /** Left out. */
  authorize?: undefined;
  /** A pattern without static keys. */
  pattern?: "NN" | "NNhfs";
}

/** Options of `noise`. */
export interface NoiseOptions extends PeerOptions {
  /**
   * Psks that the peer may have besides `psk`, at most three, all of which are tried. Only if the pattern has the psk
   * at the end of a message that this side reads: the last one of a client's IKpsk2, or of a server's XXpsk3.
   */
  otherPsks?: readonly KeyInput[];
  /** 32 bytes. For test vectors only: a repeated ephemeral key reveals everything. */
  unsafeEphemeralForTests?: Uint8Array;
  /** The KEM's seed on a client (64 bytes), its randomness on a server (32). For test vectors only. */
  unsafeKemForTests?: Uint8Array;
  /** For tests only: replaces REKEY_AFTER_FRAMES; both ends must use the same. */
  unsafeRekeyAfterFramesForTests?: number;
}

/** The parts of the settings that are wiped. */
interface Secrets {
  psk: Uint8Array | undefined;
  otherPsks: Uint8Array[];
  s: KeyPair | undefined;
  ephemeralForTests: Uint8Array | undefined;
  kemForTests: Uint8Array | undefined;
}

/** The decoded options of one factory. It owns copies of the secrets. */
export interface NoiseSettings extends Readonly<Secrets> {
  readonly remoteStatics: readonly Uint8Array[];
  readonly authorize: Authorize | undefined;
  readonly pattern: string | undefined;
  readonly postQuantum: PostQuantum;
  readonly ciphers: readonly CipherName[];
  /** "sealwire/2" ‖ the option. */
  readonly prologue: Uint8Array;
}

/** The names of `PeerOptions`. */
export const peerOptionNames = [
  "psk",
  "staticKey",
  "remoteStatic",
  "authorize",
  "pattern",
  "postQuantum",
  "cipher",
  "prologue",
] as const satisfies readonly (keyof PeerOptions)[];

const noiseOptionNames: readonly string[] = [
  ...peerOptionNames,
  "otherPsks",
  "unsafeEphemeralForTests",
  "unsafeKemForTests",
  "unsafeRekeyAfterFramesForTests",
] satisfies (keyof NoiseOptions)[];

/** Begins every prologue, so that no other use of Noise can be mistaken for this protocol. */
const PROLOGUE_PREFIX = "sealwire/2";
const MOST_OTHER_PSKS = 3;
const MAX_OWN_PROLOGUE_BYTES = 65_535;

/**
 * A missing environment variable must not turn a connection with a psk into an anonymous one.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming a credential that is there and undefined
 */
export function checkCredentials(options: PeerOptions): void {
  for (const name of ["psk", "staticKey", "remoteStatic", "authorize"] as const) {
    if (!(name in options) || options[name] !== undefined) continue;
    throw invalidArgument(
      name,
      "left out where none is meant; it is undefined: is a variable of the environment not set?",
    );
  }
}

/**
 * Checks and decodes.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function resolveNoiseOptions(options: NoiseOptions): NoiseSettings {
  // A misspelt psk would mean no psk, and so an unauthenticated peer.
  checkOptionNames(options, noiseOptionNames);
  checkCredentials(options);
  const { psk, staticKey, remoteStatic, authorize, pattern, unsafeEphemeralForTests } = options;
  if (authorize !== undefined && typeof authorize !== "function")
    throw invalidArgument("authorize", "a function");
  if (pattern !== undefined && typeof pattern !== "string") throw invalidArgument("pattern", "a string");
  const { postQuantum = true } = options;
  if (typeof postQuantum !== "boolean" && postQuantum !== "accept") {
    throw invalidArgument("postQuantum", 'true, false or "accept"');
  }
  const withoutSecrets = {
    remoteStatics: decodeRemoteStatics(remoteStatic),
    prologue: buildPrologue(options.prologue),
    authorize,
    pattern,
    postQuantum,
    ciphers: decodeCiphers(options.cipher),
  };
  const secrets: Secrets = {
    psk: undefined,
    otherPsks: [],
    s: undefined,
    ephemeralForTests: undefined,
    kemForTests: undefined,
  };
  try {
    if (psk !== undefined) secrets.psk = decodeKey("psk", psk);
    const { otherPsks = [] } = options;
    if (!Array.isArray(otherPsks) || otherPsks.length > MOST_OTHER_PSKS)
      throw invalidArgument("otherPsks", `a list of at most ${MOST_OTHER_PSKS} keys`);
    for (const [i, other] of otherPsks.entries()) secrets.otherPsks.push(decodeKey(`otherPsks[${i}]`, other));
    if (staticKey !== undefined) secrets.s = keyPairOf("staticKey", staticKey);
    if (unsafeEphemeralForTests !== undefined) {
      secrets.ephemeralForTests = decodeKey("unsafeEphemeralForTests", unsafeEphemeralForTests);
    }
    secrets.kemForTests = copyKemBytes(options.unsafeKemForTests);
  } catch (error) {
    wipeSettings(secrets);
    throw error;
  }
  return { ...withoutSecrets, ...secrets };
}

/** A copy with secrets of its own, for an object that may outlive the factory. */
export function copySettings(settings: NoiseSettings): NoiseSettings {
  const { psk, otherPsks, s, ephemeralForTests, kemForTests } = settings;
  return {
    ...settings,
    psk: psk && secretCopy(psk),
    otherPsks: otherPsks.map(secretCopy),
    s: s && { privateKey: secretCopy(s.privateKey), publicKey: s.publicKey },
    ephemeralForTests: ephemeralForTests && new Uint8Array(ephemeralForTests),
    kemForTests: kemForTests && new Uint8Array(kemForTests),
  };
}

/** Wipes the secrets of settings that are no longer used. Idempotent. */
export function wipeSettings(settings: Secrets): void {
  settings.psk?.fill(0);
  for (const psk of settings.otherPsks) psk.fill(0);
  settings.s?.privateKey.fill(0);
  settings.ephemeralForTests?.fill(0);
  settings.kemForTests?.fill(0);
}

/**
 * The protocols that these settings mean for a role.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function protocolsFor(role: Role, settings: NoiseSettings): NoiseProtocol[] {
  const credentials: Credentials = {
    hasPsk: settings.psk !== undefined,
    hasStaticKey: settings.s !== undefined,
    remoteStatics: settings.remoteStatics.length,
    hasAuthorize: settings.authorize !== undefined,
    pattern: settings.pattern,
    postQuantum: settings.postQuantum,
    ciphers: settings.ciphers,
  };
  const protocols = chooseProtocols(role, credentials);
  const triesPsks = protocols.some(({ pattern }) => readsPskLast(pattern, role === "client"));
  if (settings.otherPsks.length > 0 && !triesPsks)
    throw invalidArgument("otherPsks", `left out: with this pattern the ${role} does not read the psk last`);
  return protocols;
}

function decodeCiphers(cipher: NoiseOptions["cipher"] = "AESGCM"): CipherName[] {
  const names: readonly unknown[] = Array.isArray(cipher) ? cipher : [cipher];
  const known = cipherNames.filter((name) => names.includes(name));
  if (known.length === 0 || !names.every((name) => known.includes(name as CipherName))) {
    throw invalidArgument("cipher", '"AESGCM", "ChaChaPoly" or, on a server, a list of them');
  }
  return known;
}

function copyKemBytes(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined) return undefined;
  const lengths = [MLKEM768_SEED_BYTES, MLKEM768_RANDOMNESS_BYTES];
  const expected = "64 bytes on a client, 32 on a server";
  requireBytes("unsafeKemForTests", bytes, expected);
  if (!lengths.includes(bytes.length)) throw invalidArgument("unsafeKemForTests", expected);
  return new Uint8Array(bytes);
}

function decodeRemoteStatics(remoteStatic: NoiseOptions["remoteStatic"]): Uint8Array[] {
  if (remoteStatic === undefined) return [];
  if (!Array.isArray(remoteStatic)) return [decodeKey("remoteStatic", remoteStatic as KeyInput)];
  // Its author would mean "no key is accepted" by an empty list, and the code would accept any key.
  if (remoteStatic.length === 0) throw invalidArgument("remoteStatic", "a key or a list of at least one");
  return remoteStatic.map((key, i) => decodeKey(`remoteStatic[${i}]`, key));
}

function buildPrologue(prologue: Uint8Array | string | undefined): Uint8Array {
  const prefix = encodeText(PROLOGUE_PREFIX);
  if (prologue === undefined) return prefix;
  const own = typeof prologue === "string" ? encodeText(prologue) : prologue;
  try {
    requireBytesUpTo("prologue", own, MAX_OWN_PROLOGUE_BYTES);
  } catch {
    throw invalidArgument("prologue", "a string or Uint8Array of at most 65,535 bytes");
  }
  const bytes = new Uint8Array(prefix.length + own.length);
  bytes.set(prefix);
  bytes.set(own, prefix.length);
  return bytes;
}
