// A certificate authority and a leaf certificate for 127.0.0.1. Every run makes its own, valid for a day, so that the
// repository contains no private key. X.509 v3 (RFC 5280) in DER, ECDSA P-256 with SHA-256.
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;
const BOOLEAN_TRUE = Buffer.from([0x01, 0x01, 0xff]);
const DAY_MS = 86_400_000;

function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const { length } = content;
  const prefix =
    length < 128
      ? [tag, length]
      : length < 256
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(prefix), content]);
}

const oid = (hex) => der(OBJECT_IDENTIFIER, Buffer.from(hex, "hex"));
const ecdsaWithSha256 = der(SEQUENCE, oid("2a8648ce3d040302")); // 1.2.840.10045.4.3.2

function name(commonName) {
  const attribute = der(SEQUENCE, oid("550403"), der(UTF8_STRING, Buffer.from(commonName))); // 2.5.4.3
  return der(SEQUENCE, der(SET, attribute));
}

/** RFC 5280 section 4.1.2.5: UTCTime, YYMMDDHHMMSSZ. */
function utcTime(date) {
  const digits = date.toISOString().replace(/\D/g, "").slice(2, 14);
  return der(UTC_TIME, Buffer.from(`${digits}Z`));
}

function extension(hexOid, critical, value) {
  return der(SEQUENCE, oid(hexOid), critical ? BOOLEAN_TRUE : Buffer.alloc(0), der(OCTET_STRING, value));
}

function authorityExtensions() {
  const basicConstraints = der(SEQUENCE, BOOLEAN_TRUE);
  const certificateSigning = der(BIT_STRING, Buffer.from([0x02, 0x04])); // keyCertSign
  return [extension("551d13", true, basicConstraints), extension("551d0f", true, certificateSigning)];
}

function leafExtensions() {
  const localhost = Buffer.concat([Buffer.from([0x82, 9]), Buffer.from("localhost")]); // [2] dNSName
  const loopback = Buffer.from([0x87, 4, 127, 0, 0, 1]); // [7] iPAddress
  return [
    extension("551d11", false, der(SEQUENCE, localhost, loopback)), // subjectAltName
    extension("551d25", false, der(SEQUENCE, oid("2b06010505070301"))), // extKeyUsage: serverAuth
  ];
}

function certificate({ subject, publicKey, issuer, signingKey, extensions }) {
  const now = Date.now();
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x3f) | 0x40; // positive and never shortened
  const toBeSigned = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.from([2]))), // [0] version 3
    der(INTEGER, serial),
    ecdsaWithSha256,
    name(issuer),
    der(SEQUENCE, utcTime(new Date(now - DAY_MS)), utcTime(new Date(now + DAY_MS))),
    name(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(SEQUENCE, ...extensions)), // [3] extensions
  );
  const signature = sign("sha256", toBeSigned, signingKey);
  const whole = der(SEQUENCE, toBeSigned, ecdsaWithSha256, der(BIT_STRING, Buffer.from([0]), signature));
  const base64 = whole.toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** @returns {{ key: string, cert: string, ca: string }} PEM texts: the leaf's key and certificate, and its issuer */
export function makeCredentials() {
  const authority = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const leaf = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const issuer = "sealwire bench authority";
  return {
    key: leaf.privateKey.export({ type: "pkcs8", format: "pem" }),
    cert: certificate({
      subject: "localhost",
      publicKey: createPublicKey(leaf.privateKey),
      issuer,
      signingKey: authority.privateKey,
      extensions: leafExtensions(),
    }),
    ca: certificate({
      subject: issuer,
      publicKey: createPublicKey(authority.privateKey),
      issuer,
      signingKey: authority.privateKey,
      extensions: authorityExtensions(),
    }),
  };
}
