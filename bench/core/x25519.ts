// Rows for X25519: a shared secret and a public key from 32 raw bytes, against node:crypto (from raw bytes, and
// from key objects made beforehand), WebCrypto, @noble/curves and libsodium-wrappers.

import nodeCrypto from "node:crypto";
import { x25519 as noble } from "@noble/curves/ed25519.js";
import sodium from "libsodium-wrappers";
import { x25519, x25519KeyPair, x25519PublicKey } from "../../src/core/x25519.ts";
import { check, type Row, sameBytes } from "./rows.ts";

const PRIMITIVE = "X25519";

/** DER around the 32 bytes of a key (RFC 8410 sections 4 and 7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

const nodePrivateKey = (raw: Uint8Array) =>
  nodeCrypto.createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: "der", type: "pkcs8" });
const nodePublicKey = (raw: Uint8Array) =>
  nodeCrypto.createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });

/** WebCrypto from imported keys; undefined where the runtime has no X25519 there. */
async function webCryptoRow(privateKey: Uint8Array, publicKey: Uint8Array, expected: Uint8Array) {
  const algorithm = { name: "X25519" };
  let own: CryptoKey;
  let peer: CryptoKey;
  try {
    const pkcs8 = Buffer.concat([PKCS8_PREFIX, privateKey]);
    own = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["deriveBits"]);
    peer = await crypto.subtle.importKey("raw", Uint8Array.from(publicKey), algorithm, false, []);
  } catch {
    return undefined;
  }
  const run = () => crypto.subtle.deriveBits({ name: "X25519", public: peer }, own, 256);
  check(sameBytes(new Uint8Array(await run()), expected), "X25519, WebCrypto");
  return { operation: "shared secret", implementation: "WebCrypto, key objects", run };
}

export async function x25519Rows(): Promise<Row[]> {
  await sodium.ready;
  const { privateKey } = x25519KeyPair();
  const peer = nodeCrypto.generateKeyPairSync("x25519");
  const publicKey = new Uint8Array(peer.publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  const expected = new Uint8Array(
    nodeCrypto.diffieHellman({ privateKey: nodePrivateKey(privateKey), publicKey: peer.publicKey }),
  );
  const ownKeyObject = nodePrivateKey(privateKey);
  const peerKeyObject = nodePublicKey(publicKey);
  const webCrypto = await webCryptoRow(privateKey, publicKey, expected);

  const secrets = [
    { implementation: "sealwire", run: () => x25519(privateKey, publicKey) },
    {
      implementation: "node:crypto, raw bytes",
      run: () =>
        nodeCrypto.diffieHellman({
          privateKey: nodePrivateKey(privateKey),
          publicKey: nodePublicKey(publicKey),
        }),
    },
    {
      implementation: "node:crypto, key objects",
      run: () => nodeCrypto.diffieHellman({ privateKey: ownKeyObject, publicKey: peerKeyObject }),
    },
    { implementation: "libsodium-wrappers", run: () => sodium.crypto_scalarmult(privateKey, publicKey) },
    { implementation: "@noble/curves", run: () => noble.getSharedSecret(privateKey, publicKey) },
  ];
  for (const { implementation, run } of secrets)
    check(sameBytes(run(), expected), `X25519, ${implementation}`);

  const ownPublicKey = x25519PublicKey(privateKey);
  const publicKeys = [
    { implementation: "sealwire", run: () => x25519PublicKey(privateKey) },
    { implementation: "libsodium-wrappers", run: () => sodium.crypto_scalarmult_base(privateKey) },
    { implementation: "@noble/curves", run: () => noble.getPublicKey(privateKey) },
  ];
  for (const { implementation, run } of publicKeys) {
    check(sameBytes(run(), ownPublicKey), `X25519 public key, ${implementation}`);
  }

  // Random bytes included.
  const pairs = [
    { implementation: "sealwire", run: () => x25519KeyPair() },
    { implementation: "node:crypto, key objects", run: () => nodeCrypto.generateKeyPairSync("x25519") },
    { implementation: "libsodium-wrappers", run: () => sodium.crypto_box_keypair() },
    { implementation: "@noble/curves", run: () => noble.keygen() },
  ];

  return [
    ...secrets.map((row) => ({ ...row, operation: "shared secret" })),
    ...(webCrypto === undefined ? [] : [webCrypto]),
    ...publicKeys.map((row) => ({ ...row, operation: "public key" })),
    ...pairs.map((row) => ({ ...row, operation: "key pair" })),
  ].map((row) => ({ ...row, primitive: PRIMITIVE, batch: 1 }));
}
