// Suites: how the first frame of a handshake names the protocol of its client, and what an error says where a server does
// not run it.

import type { CipherName } from "../handshake.ts";
import { CHACHAPOLY_SUITE_BIT, HYBRID_SUITE_BIT } from "../wire.ts";
import { type HandshakePattern, isHybrid } from "./pattern.ts";
import { messageLengths } from "./patterns.ts";

/** A protocol that this side can run: what its name says beside the key exchange and the hash. */
export interface NoiseProtocol {
  readonly pattern: HandshakePattern;
  readonly cipher: CipherName;
}

/** The suite that the first frame of a handshake names (wire.ts). */
export function suiteOf({ pattern, cipher }: NoiseProtocol): number {
  return (isHybrid(pattern) ? HYBRID_SUITE_BIT : 0) | (cipher === "ChaChaPoly" ? CHACHAPOLY_SUITE_BIT : 0);
}

/** The protocol among `protocols` of this suite whose first message has this length, or undefined. */
export function protocolByFirstFrame(
  protocols: readonly NoiseProtocol[],
  suite: number,
  length: number,
): NoiseProtocol | undefined {
  return protocols.find(
    (protocol) => suiteOf(protocol) === suite && messageLengths(protocol.pattern)[0] === length,
  );
}

/** The bits of a suite that mean something, with what an error says about each: the option, then its value at 0 and at 1. */
const MEANINGS = [
  [HYBRID_SUITE_BIT, "key exchange", "postQuantum", "X25519 alone", "hybrid"],
  [CHACHAPOLY_SUITE_BIT, "cipher", "cipher", "AESGCM", "ChaChaPoly"],
] as const;

/**
 * What of a client's suite none of these protocols has, in words; empty when each part of it is there. Undefined for a
 * suite of versions to come, or of no version at all.
 */
export function suiteDifferences(protocols: readonly NoiseProtocol[], suite: number): string[] | undefined {
  if ((suite & ~(HYBRID_SUITE_BIT | CHACHAPOLY_SUITE_BIT)) !== 0) return undefined;
  const own = protocols.map(suiteOf);
  return MEANINGS.filter(([bit]) => own.every((other) => (other & bit) !== (suite & bit))).map(
    ([bit, what, option, ...values]) => {
      const its = (suite & bit) === 0 ? 0 : 1;
      const mine = values[1 - its];
      return `the client's ${what} is ${values[its]}, this side's ${mine}: the option ${option} differs`;
    },
  );
}
