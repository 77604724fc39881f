// Suites: the first frame of a handshake names the protocol of its client by its suite. If a server does not run that
// protocol, its error says what differs.

import type { CipherName } from "../handshake.ts";
import { CHACHAPOLY_SUITE_BIT, HYBRID_SUITE_BIT } from "../wire.ts";
import { type HandshakePattern, isHybrid } from "./pattern.ts";
import { messageLengths } from "./patterns.ts";

/** A protocol that this side can run: the parts of its name that differ. */
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

/** The defined bits of a suite, with the text of an error about each: the option, then its value at 0 and at 1. */
const MEANINGS = [
  [HYBRID_SUITE_BIT, "key exchange", "postQuantum", "X25519 alone", "hybrid"],
  [CHACHAPOLY_SUITE_BIT, "cipher", "cipher", "AESGCM", "ChaChaPoly"],
] as const;

/**
 * The parts of a client's suite that none of these protocols has, in words; empty if each part is there. Undefined for
 * a suite of a later version, or of none.
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
