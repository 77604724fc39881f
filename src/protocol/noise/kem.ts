// The KEM functions of Noise's extension for hybrid forward secrecy (revision 1, section 3) over ML-KEM-768. They are
// methods of one object, so that a test can count the calls of a handshake.

import {
  type MlKem768Encapsulation,
  type MlKem768KeyPair,
  mlKem768Decapsulate,
  mlKem768EncapsulateInternal,
  mlKem768KeyPair,
} from "../../core/mlKem768.ts";

export const kemFunctions = {
  /** GENERATE_KEM_KEYPAIR, from `crypto.getRandomValues`; the pair of `seed` (64 bytes) if given. */
  generateKeyPair(seed?: Uint8Array): MlKem768KeyPair {
    return mlKem768KeyPair(seed);
  },
  /**
   * GENERATE_KEM_CIPHERTEXT; from the randomness `m` (32 bytes) if given. The caller wipes the shared secret.
   *
   * @throws SealwireError ERR_WEAK_PUBLIC_KEY when the key fails the modulus check
   */
  encapsulate(publicKey: Uint8Array, m?: Uint8Array): MlKem768Encapsulation {
    return mlKem768EncapsulateInternal(publicKey, m);
  },
  /** KEM: 32 secret bytes that the caller wipes. */
  decapsulate(decapsulationKey: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    return mlKem768Decapsulate(decapsulationKey, ciphertext);
  },
};
