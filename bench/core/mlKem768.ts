// Rows for ML-KEM-768: the three operations, beside @noble/post-quantum and, in Node 26, node:crypto with key objects
// made beforehand. Other rows show the cost of a first handshake message for a server, with ML-KEM and without.

import * as nodeCrypto from "node:crypto";
import { ml_kem768 as noble } from "@noble/post-quantum/ml-kem.js";
import { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } from "../../src/core/mlKem768.ts";
import { noise } from "../../src/protocol/noise/noiseFactory.ts";
import type { NoiseOptions } from "../../src/protocol/noise/noiseOptions.ts";
import { check, type Row, sameBytes } from "./rows.ts";

/** DER around the 64 bytes of a seed (RFC 9935). */
const PKCS8_SEED_PREFIX = Buffer.from("3054020100300b060960864801650304040204428040", "hex");

interface NodeKem {
  encapsulate(key: nodeCrypto.KeyObject): { sharedKey: Buffer; ciphertext: Buffer };
  decapsulate(key: nodeCrypto.KeyObject, ciphertext: Uint8Array): Buffer;
}

/** Rows of node:crypto; none where the runtime has no ML-KEM. */
function nodeRows(seed: Uint8Array, ciphertext: Uint8Array, sharedSecret: Uint8Array) {
  const { encapsulate, decapsulate } = nodeCrypto as unknown as NodeKem;
  if (typeof encapsulate !== "function") return [];
  let privateKey: nodeCrypto.KeyObject;
  try {
    const key = Buffer.concat([PKCS8_SEED_PREFIX, seed]);
    privateKey = nodeCrypto.createPrivateKey({ key, format: "der", type: "pkcs8" });
  } catch {
    return [];
  }
  const publicKey = nodeCrypto.createPublicKey(privateKey);
  check(sameBytes(decapsulate(privateKey, ciphertext), sharedSecret), "ML-KEM-768, node:crypto");
  const implementation = "node:crypto, key objects";
  const generate = nodeCrypto.generateKeyPairSync as (type: string) => unknown;
  return [
    { operation: "key pair", implementation, run: () => generate("ml-kem-768") },
    { operation: "encapsulate", implementation, run: () => encapsulate(publicKey) },
    { operation: "decapsulate", implementation, run: () => decapsulate(privateKey, ciphertext) },
  ];
}

/** All that a server does for a first message that may be anybody's: read it, and write its answer. */
function firstMessageRow(implementation: string, client: NoiseOptions, server: NoiseOptions) {
  const info = { remoteAddress: "" };
  const first = noise(client, "client").create("client", info).send()!;
  const factory = noise(server, "server");
  const run = (): Uint8Array | undefined => {
    const handshake = factory.create("server", info);
    handshake.receive(first.subarray(0, 4));
    handshake.receive(first.subarray(4));
    const answer = handshake.send();
    handshake.destroy();
    return answer;
  };
  check(run() !== undefined, implementation);
  return {
    primitive: "Noise",
    operation: "first message and its answer, server",
    implementation,
    run,
    batch: 1,
  };
}

export function mlKem768Rows(): Row[] {
  const seed = crypto.getRandomValues(new Uint8Array(64));
  const { encapsulationKey, decapsulationKey } = mlKem768KeyPair(seed);
  const keys = noble.keygen(seed);
  check(sameBytes(keys.publicKey, encapsulationKey), "ML-KEM-768 key pair, @noble/post-quantum");
  const { ciphertext, sharedSecret } = mlKem768Encapsulate(encapsulationKey);
  check(sameBytes(mlKem768Decapsulate(decapsulationKey, ciphertext), sharedSecret), "ML-KEM-768, sealwire");
  check(sameBytes(noble.decapsulate(ciphertext, keys.secretKey), sharedSecret), "ML-KEM-768, noble");

  const own = "sealwire";
  const control = "@noble/post-quantum";
  const rows = [
    { operation: "key pair", implementation: own, run: () => mlKem768KeyPair() },
    { operation: "key pair", implementation: control, run: () => noble.keygen() },
    { operation: "encapsulate", implementation: own, run: () => mlKem768Encapsulate(encapsulationKey) },
    { operation: "encapsulate", implementation: control, run: () => noble.encapsulate(keys.publicKey) },
    {
      operation: "decapsulate",
      implementation: own,
      run: () => mlKem768Decapsulate(decapsulationKey, ciphertext),
    },
    {
      operation: "decapsulate",
      implementation: control,
      run: () => noble.decapsulate(ciphertext, keys.secretKey),
    },
    ...nodeRows(seed, ciphertext, sharedSecret),
  ].map((row) => ({ ...row, primitive: "ML-KEM-768", batch: 1 }));

  const psk = crypto.getRandomValues(new Uint8Array(32));
  const [clientKey, serverKey] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const classical = { postQuantum: false } as const;
  const xx = [{ staticKey: clientKey }, { staticKey: serverKey }] as const;
  return [
    ...rows,
    firstMessageRow("sealwire, NNpsk0", { psk, ...classical }, { psk, ...classical }),
    firstMessageRow("sealwire, NNhfs+psk0", { psk }, { psk }),
    firstMessageRow("sealwire, XX", { ...xx[0], ...classical }, { ...xx[1], ...classical }),
    firstMessageRow("sealwire, XXhfs", ...xx),
  ];
}
