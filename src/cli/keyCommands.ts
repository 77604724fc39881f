// keygen, pubkey, genpsk, fingerprint: make keys and print their public parts, like age-keygen and wg.

import process from "node:process";
import { buildCommand } from "@stricli/core";
import { encodeBase64 } from "../core/base64.ts";
import { blake2b } from "../core/blake2b.ts";
import { randomBytes } from "../core/random.ts";
import { decodeKey, encodeKey, generateKeyPair, keyPairOf } from "../protocol/noise/keys.ts";
import { CommandError } from "./exitCodes.ts";
import { jsonFlag, type OutputFlags, result } from "./output.ts";
import { readKey, sourceBrief, writeSecretFile } from "./secrets.ts";

const FINGERPRINT_BYTES = 32;
const PSK_BYTES = 32;

/** A short text to compare public keys by eye: base64url of the key's BLAKE2b-256. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `BLAKE2b:${encodeBase64(blake2b(publicKey, { length: FINGERPRINT_BYTES }))}`;
}

interface KeygenFlags extends OutputFlags {
  readonly output?: string;
}

export const keygen = buildCommand({
  docs: {
    brief: "Make a private key",
    fullDescription:
      "Makes an X25519 key pair. The private key goes to the file (mode 0600, never overwriting one) or to standard output, the public key to standard error.\n\nExamples:\n  sealwire keygen -o server.key\n  sealwire keygen | ssh host 'umask 077; cat > client.key'",
  },
  parameters: {
    flags: {
      output: {
        kind: "parsed",
        parse: String,
        brief: "Write the private key to this file",
        optional: true,
        placeholder: "FILE",
      },
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  func({ output, json }: KeygenFlags) {
    const pair = generateKeyPair();
    const publicKey = encodeKey(pair.publicKey);
    const privateKey = encodeKey(pair.privateKey);
    pair.privateKey.fill(0);
    const text = `# sealwire private key, made ${new Date().toISOString()}\n# public key: ${publicKey}\n${privateKey}\n`;
    if (output !== undefined) {
      writeSecretFile(output, text);
      if (json) result({ json }, { publicKey, file: output }, "");
      else process.stderr.write(`public key: ${publicKey}\n`);
    } else if (json) {
      result({ json }, { publicKey, privateKey }, "");
    } else {
      process.stdout.write(text);
      if (process.stdout.isTTY !== true) process.stderr.write(`public key: ${publicKey}\n`);
    }
  },
});

export const pubkey = buildCommand({
  docs: {
    brief: "Give the public key of a private one",
    fullDescription: `Reads a private key from ${sourceBrief} and prints its public key.\n\nExamples:\n  sealwire pubkey server.key\n  sealwire pubkey < server.key`,
  },
  parameters: {
    flags: { json: jsonFlag },
    positional: {
      kind: "tuple",
      parameters: [
        {
          parse: String,
          brief: `Where the private key is: ${sourceBrief}`,
          placeholder: "SOURCE",
          default: "-",
        },
      ],
    },
  },
  func({ json }: OutputFlags, source: string) {
    const privateKey = readKey(source);
    const pair = keyPairOf("key", privateKey);
    privateKey.fill(0);
    pair.privateKey.fill(0);
    const publicKey = encodeKey(pair.publicKey);
    result({ json }, { publicKey }, publicKey);
  },
});

export const genpsk = buildCommand({
  docs: {
    brief: "Make a pre-shared key",
    fullDescription:
      "Prints 32 random bytes as base64url, or writes them to a file (mode 0600, never overwriting one).\n\nExamples:\n  sealwire genpsk -o shared.psk\n  (umask 077; sealwire genpsk > shared.psk)",
  },
  parameters: {
    flags: {
      output: {
        kind: "parsed",
        parse: String,
        brief: "Write the key to this file",
        optional: true,
        placeholder: "FILE",
      },
      json: jsonFlag,
    },
    aliases: { o: "output" },
  },
  func({ output, json }: KeygenFlags) {
    const psk = randomBytes(PSK_BYTES);
    const text = encodeKey(psk);
    psk.fill(0);
    if (output === undefined) {
      result({ json }, { psk: text }, text);
    } else {
      writeSecretFile(output, `${text}\n`);
      result({ json }, { file: output }, output);
    }
  },
});

export const fingerprint = buildCommand({
  docs: {
    brief: "Give the fingerprint of a public key",
    fullDescription:
      "Prints the BLAKE2b-256 of a public key, which two people can compare by telephone.\n\nExamples:\n  sealwire fingerprint 8BtEbUZ9i1Q5UmZAcvs0bGbTTJvRrKk0T8qVbPzR0Gs\n  sealwire pubkey server.key | sealwire fingerprint",
  },
  parameters: {
    flags: { json: jsonFlag },
    positional: {
      kind: "tuple",
      parameters: [
        {
          parse: String,
          brief: "The public key; - reads it from standard input",
          placeholder: "PUBLIC-KEY",
          default: "-",
        },
      ],
    },
  },
  func({ json }: OutputFlags, key: string) {
    const publicKey = key === "-" ? readKey("-") : publicKeyOf(key);
    const text = fingerprintOf(publicKey);
    result({ json }, { publicKey: encodeKey(publicKey), fingerprint: text }, text);
  },
});

/** A public key given as an argument. */
export function publicKeyOf(text: string): Uint8Array {
  try {
    return decodeKey("key", text);
  } catch {
    throw new CommandError(
      "usage",
      "a public key has 43 characters of base64url, or 64 hex digits; that of a private key's file says `sealwire pubkey FILE`",
    );
  }
}
