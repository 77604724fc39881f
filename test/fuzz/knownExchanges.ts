// The exchanges of handshakes, computed once each. Ephemeral keys come from a small store, and results of X25519 and
// ML-KEM are reused for the same arguments, so that a handshake costs only its own code. Changed arguments are
// computed. The level of the exports tries the primitives themselves.

import { dhFunctions } from "../../src/protocol/noise/dh.ts";
import { kemFunctions } from "../../src/protocol/noise/kem.ts";
import type { Random } from "../simulation/random.ts";

/** Ephemeral keys that there are: X25519's, and the costlier ones of ML-KEM. */
const [PAIRS, KEM_PAIRS] = [64, 8];
/** Results that are remembered of each kind; a changed key is not likely to come again. */
const MOST_KNOWN = 8_192;

const original = {
  generate: dhFunctions.generateKeyPair,
  dh: dhFunctions.dh,
  generateKem: kemFunctions.generateKeyPair,
  encapsulate: kemFunctions.encapsulate,
  decapsulate: kemFunctions.decapsulate,
};

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** What `compute` gave for this name, or gives now. Errors are not remembered. */
function remembered<T>(known: Map<string, T>, name: string, compute: () => T): T {
  let result = known.get(name);
  if (result === undefined) {
    result = compute();
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, result);
  }
  return result;
}

/** Whose decisions choose the keys: a failure is played again with the same ones. */
let chooser: Random | undefined;

export function chooseKeysBy(random: Random | undefined): void {
  chooser = random;
}

/** From now on, in this process. */
export function rememberExchanges(): void {
  const pairs = Array.from({ length: PAIRS }, () => original.generate());
  const kemPairs = Array.from({ length: KEM_PAIRS }, () => original.generateKem());
  const shared = new Map<string, Uint8Array>();
  const encapsulations = new Map<string, ReturnType<typeof original.encapsulate>>();
  const decapsulated = new Map<string, Uint8Array>();

  // Whoever asks owns what is given, and wipes it: always copies.
  dhFunctions.generateKeyPair = (privateKey) => {
    if (privateKey !== undefined || chooser === undefined) return original.generate(privateKey);
    const pair = chooser.pick(pairs);
    return { privateKey: pair.privateKey.slice(), publicKey: pair.publicKey.slice() };
  };
  dhFunctions.dh = (pair, publicKey) =>
    remembered(shared, textOf(pair.privateKey) + textOf(publicKey), () =>
      original.dh(pair, publicKey),
    ).slice();
  kemFunctions.generateKeyPair = (seed) => {
    if (seed !== undefined || chooser === undefined) return original.generateKem(seed);
    const pair = chooser.pick(kemPairs);
    return {
      encapsulationKey: pair.encapsulationKey.slice(),
      decapsulationKey: pair.decapsulationKey.slice(),
    };
  };
  kemFunctions.encapsulate = (publicKey, m) => {
    if (m !== undefined) return original.encapsulate(publicKey, m);
    const one = remembered(encapsulations, textOf(publicKey), () => original.encapsulate(publicKey));
    return { ciphertext: one.ciphertext.slice(), sharedSecret: one.sharedSecret.slice() };
  };
  kemFunctions.decapsulate = (key, ciphertext) =>
    remembered(decapsulated, textOf(key) + textOf(ciphertext), () =>
      original.decapsulate(key, ciphertext),
    ).slice();
}
