// The DH functions of Noise (revision 34, sections 4.1 and 12.1) over 25519. They are methods of one object, so that a
// test can count the calls of a handshake.

import { type KeyPair, x25519, x25519KeyPair } from "../../core/x25519.ts";

export type { KeyPair };

export const dhFunctions = {
  /** GENERATE_KEYPAIR, from `crypto.getRandomValues`; the pair of `privateKey` (32 bytes, copied) if given. */
  generateKeyPair(privateKey?: Uint8Array): KeyPair {
    return x25519KeyPair(privateKey);
  },
  /**
   * DH: 32 secret bytes that the caller wipes.
   *
   * @throws SealwireError ERR_WEAK_PUBLIC_KEY for an all-zero result, which the specification allows to refuse
   */
  dh(keyPair: KeyPair, publicKey: Uint8Array): Uint8Array {
    return x25519(keyPair.privateKey, publicKey);
  },
};
