// Processor time of sealing and opening with the ciphers of this runtime's node:crypto. The pieces are as long as those
// of large messages; longer ones are not cheaper per byte.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import process from "node:process";

const CIPHERS = ["aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"];
const BYTES = 64_512;
const CALLS = 100;
const options = { authTagLength: 16 };

function sealAndOpen(cipher, key, nonce, text) {
  const sealing = createCipheriv(cipher, key, nonce, options);
  const ciphertext = sealing.update(text);
  sealing.final();
  const opening = createDecipheriv(cipher, key, nonce, options);
  opening.setAuthTag(sealing.getAuthTag());
  const plaintext = opening.update(ciphertext);
  opening.final();
  return plaintext;
}

function cpuNs(run) {
  const before = process.cpuUsage();
  for (let i = 0; i < CALLS; i++) run();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / CALLS;
}

/**
 * The ciphers that this runtime has, with the least of `runs` measurements of each: nanoseconds of processor time to
 * seal and open `bytes` bytes.
 */
export function measureAead({ runs }) {
  const text = randomBytes(BYTES);
  const nonce = new Uint8Array(12);
  const ciphers = [];
  for (const cipher of CIPHERS) {
    const key = randomBytes(cipher === "aes-128-gcm" ? 16 : 32);
    try {
      if (!sealAndOpen(cipher, key, nonce, text).equals(text)) throw new Error(`${cipher} changes texts`);
    } catch (error) {
      if (cipher === "aes-256-gcm") throw error;
      continue; // not in this runtime
    }
    const times = Array.from({ length: runs }, () => cpuNs(() => sealAndOpen(cipher, key, nonce, text)));
    ciphers.push({ cipher, ns: Math.round(Math.min(...times)) });
  }
  return { ciphers, bytes: BYTES };
}
