// A server that accepts several psks and static keys, so that keys can change without an outage. Every key is tried on
// a client's first message, whichever fits, so the time of these trials does not reveal which one it was.
//
// A first message without authentication (XX) fits all of them; the server then uses its first static key, the current
// one. The client's psk shows in its first message if that message proves one (psk0, psk1), and in its last one with
// XXpsk3. With IKpsk2 it does not show, because the server uses its own psk first. There the server uses its first psk,
// and clients try several (peerKeys.ts).

import { invalidArgument, SealwireError } from "../../base/errors.ts";
import type { PeerIdentity } from "../../base/options.ts";
import { blake2b } from "../../core/blake2b.ts";
import { x25519PublicKey } from "../../core/x25519.ts";
import type { Handshake, HandshakeFactory, HandshakeInfo, HandshakeResult } from "../handshake.ts";
import { decodeKey, encodeKey, equalKeys, type KeyInput, keyPairOf } from "./keys.ts";
import { noise } from "./noiseFactory.ts";
import type { NoiseHandshake } from "./noiseHandshake.ts";
import type { Authorize, NoiseOptions } from "./noiseOptions.ts";

/** The most keys of each kind, including the first one. */
export const MOST_KEYS = 4;
/** Psks are distinguished by this many bytes of their hash. */
const ID_BYTES = 32;

/** Further keys that a server accepts while keys change: at most three of each. */
export interface OtherKeys {
  /** Up to three psks that are accepted besides `psk`. */
  otherPsks?: readonly KeyInput[];
  /** Up to three static keys besides `staticKey`. Clients that pin one of their public keys are served, too. */
  otherStaticKeys?: readonly KeyInput[];
}

/** The keys that a session was made with; empty if there is no such key. */
interface UsedKeys {
  readonly psk: string;
  readonly staticKey: string;
}

const usedKeys = new WeakMap<PeerIdentity, UsedKeys>();

/** A factory of a server's handshakes that can tell whether its keys made a session. */
export interface ServerKeys extends HandshakeFactory {
  destroy(): void;
  /** Whether the session's keys are among its keys, and the peer's key is pinned if any are. */
  knows(identity: PeerIdentity): boolean;
  /** Called about peers with a static key, as in the handshake. */
  readonly authorize: Authorize | undefined;
}

/** One static key with one psk, or with all psks if the client proves its own. */
interface Candidate {
  readonly factory: HandshakeFactory & { destroy(): void };
  readonly psks: readonly string[];
  readonly staticKey: string;
}

/** When a client proves which psk it has: in its first message, in its last one, or after the server has used one. */
function pskIsProven(names: readonly string[]): "first" | "last" | "tooLate" {
  if (names.every((name) => /psk[01]/.test(name))) return "first";
  return names.some((name) => name.includes("psk3")) ? "last" : "tooLate";
}

/** A side without keys of a kind has one, which is undefined. */
type OptionalKeys = readonly (Uint8Array | undefined)[];

function candidateOf(
  options: NoiseOptions,
  psks: OptionalKeys,
  staticKey: Uint8Array | undefined,
): Candidate {
  const own: NoiseOptions = { ...options };
  const [psk, ...others] = psks.filter((one) => one !== undefined);
  if (psk !== undefined) own.psk = psk;
  if (others.length > 0) own.otherPsks = others;
  if (staticKey !== undefined) own.staticKey = staticKey;
  return {
    factory: noise(own, "server"),
    psks: psks.map((one) => (one === undefined ? "" : encodeKey(blake2b(one, { length: ID_BYTES })))),
    staticKey: staticKey === undefined ? "" : encodeKey(x25519PublicKey(staticKey)),
  };
}

/** @throws SealwireError ERR_INVALID_ARGUMENT naming the option */
export function serverKeys(
  options: NoiseOptions,
  { otherPsks, otherStaticKeys }: OtherKeys = {},
): ServerKeys {
  const { psk, staticKey } = options;
  if (otherPsks !== undefined && psk === undefined) throw invalidArgument("otherPsks", "given with psk");
  if (otherStaticKeys !== undefined && staticKey === undefined)
    throw invalidArgument("otherStaticKeys", "given with staticKey");
  const candidates: Candidate[] = [];
  const secrets: Uint8Array[] = [];
  const destroy = (): void => {
    for (const { factory } of candidates) factory.destroy();
  };
  try {
    const psks = different(secrets, ["psk", "otherPsks"], psk, otherPsks, decodeKey);
    const statics = different(
      secrets,
      ["staticKey", "otherStaticKeys"],
      staticKey,
      otherStaticKeys,
      (name, key) => keyPairOf(name, key).privateKey,
    );
    const first = candidateOf(options, [psks[0]], statics[0]);
    const proven = pskIsProven(first.factory.name.split(" or "));
    first.factory.destroy();
    if (psks.length > 1 && proven === "tooLate")
      throw invalidArgument(
        "otherPsks",
        "given to the clients: with this pattern the server uses its psk first",
      );
    const tried = proven === "last" ? [psks] : psks.map((one) => [one]);
    for (const own of tried)
      for (const ownStatic of statics) candidates.push(candidateOf(options, own, ownStatic));
    return factoryOf(candidates, options, destroy);
  } catch (error) {
    destroy();
    throw error;
  } finally {
    for (const secret of secrets) secret.fill(0);
  }
}

function factoryOf(candidates: readonly Candidate[], options: NoiseOptions, destroy: () => void): ServerKeys {
  const { factory } = candidates[0]!;
  const { remoteStatic, authorize } = options;
  const listed = remoteStatic === undefined || Array.isArray(remoteStatic) ? remoteStatic : [remoteStatic];
  const pinned = (listed as readonly KeyInput[] | undefined)?.map((key) => decodeKey("remoteStatic", key));
  return {
    name: factory.name,
    format: factory.format,
    anonymous: factory.anonymous,
    authorize,
    create: (_role, info) => new TrialHandshake(candidates, info),
    firstMessageBytes: (received) => factory.firstMessageBytes!(received),
    destroy,
    knows(identity) {
      const used = usedKeys.get(identity);
      if (used === undefined) return false;
      const { remoteStaticKey } = identity;
      const has = candidates.some(
        ({ psks, staticKey }) => psks.includes(used.psk) && staticKey === used.staticKey,
      );
      if (!has || pinned === undefined) return has;
      return remoteStaticKey !== undefined && pinned.some((key) => equalKeys(key, remoteStaticKey));
    },
  };
}

/** The first key and the others, without repetitions; [undefined] if there is none. */
function different<Key>(
  secrets: Uint8Array[],
  [firstName, name]: readonly [firstName: string, name: string],
  first: Key | undefined,
  others: readonly KeyInput[] | undefined,
  decode: (name: string, key: Key | KeyInput) => Uint8Array,
): (Uint8Array | undefined)[] {
  if (others !== undefined && (!Array.isArray(others) || others.length >= MOST_KEYS))
    throw invalidArgument(name, `a list of at most ${MOST_KEYS - 1} keys`);
  if (first === undefined) return [undefined];
  const keys: Uint8Array[] = [];
  for (const [i, key] of [first, ...(others ?? [])].entries()) {
    const bytes = decode(i === 0 ? firstName : `${name}[${i - 1}]`, key);
    secrets.push(bytes);
    if (!keys.some((known) => equalKeys(known, bytes))) keys.push(bytes);
  }
  return keys;
}

interface Trial {
  readonly handshake: NoiseHandshake;
  readonly candidate: Candidate;
}

/** A handshake that runs with every candidate until the client's first message has chosen one. */
class TrialHandshake implements Handshake {
  readonly #trials: readonly Trial[];
  #chosen: Trial | undefined;
  #reads = 0;

  constructor(candidates: readonly Candidate[], info: HandshakeInfo) {
    this.#trials = candidates.map((candidate) => ({
      handshake: candidate.factory.create("server", info) as NoiseHandshake,
      candidate,
    }));
    if (this.#trials.length === 1) this.#chosen = this.#trials[0];
  }

  get #current(): Handshake {
    return (this.#chosen ?? this.#trials[0]!).handshake;
  }

  send(): Uint8Array | undefined {
    return this.#current.send();
  }

  get expects(): number {
    return this.#current.expects;
  }

  get done(): boolean {
    return this.#current.done;
  }

  receive(bytes: Uint8Array): void | Promise<void> {
    if (this.#chosen !== undefined) return this.#chosen.handshake.receive(bytes);
    this.#reads++;
    // The length means the same to all candidates; the message after it chooses.
    return this.#reads === 1 ? this.#tryAll(bytes, false) : this.#tryAll(bytes, true);
  }

  #tryAll(bytes: Uint8Array, choose: boolean): void | Promise<void> {
    let decision: Promise<void> | undefined;
    let refusal: unknown;
    let failure: unknown;
    for (const trial of this.#trials) {
      // A static key in the clear (IN, IX) fits every candidate. The application is asked once.
      trial.handshake.superseded = this.#chosen !== undefined || refusal !== undefined;
      try {
        const outcome = trial.handshake.receive(bytes);
        if (!choose || this.#chosen !== undefined) continue;
        this.#chosen = trial;
        if (outcome !== undefined) decision = outcome;
      } catch (error) {
        // The key fitted, but the application or the pinned keys refused the peer.
        if (error instanceof SealwireError && error.code === "ERR_UNAUTHORIZED") refusal ??= error;
        else failure ??= error;
      }
    }
    if (!choose && failure === undefined) return;
    if (this.#chosen === undefined) {
      this.destroy();
      throw refusal ?? failure;
    }
    for (const { handshake } of this.#trials) if (handshake !== this.#chosen.handshake) handshake.destroy();
    return decision;
  }

  finish(): HandshakeResult {
    const chosen = this.#chosen;
    if (chosen === undefined) throw new SealwireError("ERR_HANDSHAKE", "the handshake is not done");
    const { usedPsk } = chosen.handshake;
    const result = chosen.handshake.finish();
    const { psks, staticKey } = chosen.candidate;
    usedKeys.set(result.identity, { psk: psks[usedPsk]!, staticKey });
    return result;
  }

  destroy(): void {
    for (const { handshake } of this.#trials) handshake.destroy();
  }
}
