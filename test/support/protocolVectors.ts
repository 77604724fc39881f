// The worked vectors of docs/PROTOCOL.md, computed by a second implementation of both protocols. It is written from the
// specifications on @noble's primitives and shares no code with src/. It has all keys, so it needs no state machine: it
// writes the messages of both sides one after the other, with every intermediate value.

import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { concatBytes } from "@noble/hashes/utils.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";

/** A named value of the document; bytes are printed as hex. */
export type VectorLine = readonly [name: string, value: Uint8Array | string];
export type VectorBlock = readonly VectorLine[];

export const EMPTY = new Uint8Array(0);
export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Bytes that say in the document what they are: first, first + 1, … */
const counting = (first: number, length = 32): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

export const vectorKeys = {
  clientEphemeral: counting(0x01),
  serverEphemeral: counting(0x21),
  clientStatic: counting(0x41),
  serverStatic: counting(0x61),
  psk: counting(0x81),
  kemSeed: counting(0xa1, 64),
  kemRandomness: counting(0xe1),
};

export function u32be(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

export const frame = (sealed: Uint8Array): Uint8Array => concatBytes(u32be(sealed.length), sealed);
/** The first frame of a handshake: u16be suite ‖ u16be length ‖ message. */
const firstFrame = (suite: number, message: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(0, suite, message.length >> 8, message.length & 0xff), message);

function hkdf(ck: Uint8Array, ikm: Uint8Array, outputs: number): Uint8Array[] {
  const key = hmac(blake2b, ck, ikm);
  const result: Uint8Array[] = [];
  for (let i = 1; i <= outputs; i++) {
    result.push(hmac(blake2b, key, concatBytes(result[i - 2] ?? EMPTY, Uint8Array.of(i))));
  }
  return result;
}

/** Noise's nonce: 00000000 ‖ u64be n, for n < 2^32. */
export const noiseNonce = (n: number): Uint8Array => concatBytes(u32be(0), u32be(0), u32be(n));

export type Cipher = "AESGCM" | "ChaChaPoly";

/** ENCRYPT of Noise with either cipher, n < 2^32; ChaChaPoly counts little-endian. */
export function encrypt(
  cipher: Cipher,
  key: Uint8Array,
  n: number,
  ad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  if (cipher === "AESGCM") return gcm(key, noiseNonce(n), ad).encrypt(plaintext);
  const nonce = concatBytes(u32be(0), u32be(n).reverse(), u32be(0));
  return chacha20poly1305(key, nonce, ad).encrypt(plaintext);
}

export interface NoiseTranscript {
  block: VectorBlock;
  messages: Uint8Array[];
  handshakeHash: Uint8Array;
  /** For what the client sends, and for what the server sends. */
  keys: [Uint8Array, Uint8Array];
}

/** Pre-messages, then the tokens of each message, without psk: those of the twelve hybrid patterns are spelled out. */
export const hybridPatterns: Record<string, readonly [string, ...string[]]> = {
  NNhfs: ["", "e e1", "e ee ekem1"],
  NKhfs: ["server", "e es e1", "e ee ekem1"],
  NXhfs: ["", "e e1", "e ee ekem1 s es"],
  XNhfs: ["", "e e1", "e ee ekem1", "s se"],
  XKhfs: ["server", "e es e1", "e ee ekem1", "s se"],
  XXhfs: ["", "e e1", "e ee ekem1 s es", "s se"],
  KNhfs: ["client", "e e1", "e ee ekem1 se"],
  KKhfs: ["client server", "e es e1 ss", "e ee ekem1 se"],
  KXhfs: ["client", "e e1", "e ee ekem1 se s es"],
  INhfs: ["", "e e1 s", "e ee ekem1 se"],
  IKhfs: ["server", "e es e1 s ss", "e ee ekem1 se"],
  IXhfs: ["", "e e1 s", "e ee ekem1 se s es"],
};

/** Pre-messages, then the tokens of each message. */
const noisePatterns: Record<string, readonly [string, ...string[]]> = {
  NN: ["", "e", "e ee"],
  NNpsk0: ["", "psk e", "e ee"],
  XX: ["", "e", "e ee s es", "s se"],
  XXpsk3: ["", "e", "e ee s es", "s se psk"],
  IK: ["server", "e es s ss", "e ee se"],
  IKpsk2: ["server", "e es s ss", "e ee se psk"],
  KK: ["client server", "e es ss", "e ee se"],
  KKpsk0: ["client server", "psk e es ss", "e ee se"],
};

/** The tokens of a pattern with its psk modifiers, e.g. "XXhfs+psk0+psk3". */
function patternTokens(pattern: string): readonly [string, ...string[]] {
  const spelledOut = noisePatterns[pattern];
  if (spelledOut !== undefined) return spelledOut;
  const [base, ...modifiers] = pattern.split("+");
  const [preMessages, ...messages] = hybridPatterns[base!]!;
  for (const modifier of modifiers) {
    const position = Number(modifier.replace("psk", ""));
    if (position === 0) messages[0] = `psk ${messages[0]}`;
    else messages[position - 1] += " psk";
  }
  return [preMessages, ...messages];
}

/** A whole handshake with the keys above and prologue "sealwire/2"; `steps` lists every state on the way. */
export function noiseTranscript(pattern: string, steps: boolean, cipher: Cipher = "AESGCM"): NoiseTranscript {
  const isHybrid = pattern.includes("hfs");
  const name = `Noise_${pattern}_25519${isHybrid ? "+MLKEM768" : ""}_${cipher}_BLAKE2b`;
  const [preMessages, ...messagePatterns] = patternTokens(pattern);
  const { clientEphemeral, serverEphemeral, clientStatic, serverStatic, psk } = vectorKeys;
  const { kemSeed, kemRandomness } = vectorKeys;
  const privateKeys = {
    client: { e: clientEphemeral, s: clientStatic },
    server: { e: serverEphemeral, s: serverStatic },
  };
  const used = new Set([preMessages, ...messagePatterns].join(" ").split(" "));
  const lines: VectorLine[] = [["protocol name", name]];
  lines.push(["client ephemeral private", clientEphemeral], ["server ephemeral private", serverEphemeral]);
  if (pattern[0] !== "N") lines.push(["client static private", clientStatic]);
  if (pattern[1] !== "N") lines.push(["server static private", serverStatic]);
  if (used.has("psk")) lines.push(["psk", psk]);
  if (isHybrid) lines.push(["client KEM seed", kemSeed], ["server KEM randomness", kemRandomness]);

  const start = name.length <= 64 ? ascii(name) : blake2b(ascii(name));
  let h: Uint8Array = concatBytes(start, new Uint8Array(64 - start.length));
  let ck: Uint8Array = h;
  let k: Uint8Array | undefined;
  let n = 0;
  const note = (label: string, value: Uint8Array): void => {
    if (steps) lines.push([label, value]);
  };
  const mixHash = (why: string, data: Uint8Array): void => {
    h = blake2b(concatBytes(h, data));
    note(`h after ${why}`, h);
  };
  const mixKey = (why: string, ikm: Uint8Array): void => {
    const [nextCk, tempK] = hkdf(ck, ikm, 2) as [Uint8Array, Uint8Array];
    ck = nextCk;
    k = tempK.slice(0, 32);
    n = 0;
    note(`ck after ${why}`, ck);
    note(`k after ${why}`, k);
  };
  const encryptAndHash = (why: string, plaintext: Uint8Array): Uint8Array => {
    const ciphertext = k === undefined ? plaintext : encrypt(cipher, k, n++, h, plaintext);
    mixHash(why, ciphertext);
    return ciphertext;
  };

  note("h = ck at first", h);
  mixHash("prologue", ascii("sealwire/2"));
  for (const role of preMessages.split(" ").filter((role) => role !== "") as ("client" | "server")[]) {
    mixHash(`${role}'s static public key`, x25519.getPublicKey(privateKeys[role].s));
  }
  const messages: Uint8Array[] = [];
  for (const [i, tokens] of messagePatterns.entries()) {
    const sender = i % 2 === 0 ? "client" : "server";
    const parts: Uint8Array[] = [];
    for (const token of tokens.split(" ")) {
      if (token === "e") {
        const publicKey = x25519.getPublicKey(privateKeys[sender].e);
        note(`${sender} ephemeral public`, publicKey);
        parts.push(publicKey);
        mixHash("e", publicKey);
        if (used.has("psk")) mixKey("e", publicKey);
      } else if (token === "s") {
        parts.push(encryptAndHash("s", x25519.getPublicKey(privateKeys[sender].s)));
      } else if (token === "e1") {
        const { publicKey } = ml_kem768.keygen(kemSeed);
        note("client KEM public", publicKey);
        parts.push(encryptAndHash("e1", publicKey));
      } else if (token === "ekem1") {
        const { publicKey } = ml_kem768.keygen(kemSeed);
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, kemRandomness);
        note("KEM ciphertext", cipherText);
        parts.push(encryptAndHash("ekem1", cipherText));
        note("ekem1", sharedSecret);
        mixKey("ekem1", sharedSecret);
      } else if (token === "psk") {
        const [nextCk, tempH, tempK] = hkdf(ck, psk, 3) as [Uint8Array, Uint8Array, Uint8Array];
        ck = nextCk;
        note("ck after psk", ck);
        mixHash("psk", tempH);
        k = tempK.slice(0, 32);
        n = 0;
        note("k after psk", k);
      } else {
        const [mine, theirs] = token as unknown as ["e" | "s", "e" | "s"];
        const shared = x25519.getSharedSecret(
          privateKeys.client[mine],
          x25519.getPublicKey(privateKeys.server[theirs]),
        );
        note(token, shared);
        mixKey(token, shared);
      }
    }
    parts.push(encryptAndHash("the empty payload", EMPTY));
    const message = concatBytes(...parts);
    messages.push(message);
    const suite = (isHybrid ? 1 : 0) + (cipher === "ChaChaPoly" ? 2 : 0);
    const bytes = i === 0 ? firstFrame(suite, message) : frame(message);
    lines.push([`frame ${i + 1}, from the ${sender}`, bytes]);
  }
  const [first, second] = hkdf(ck, EMPTY, 2) as [Uint8Array, Uint8Array];
  const keys: [Uint8Array, Uint8Array] = [first.slice(0, 32), second.slice(0, 32)];
  lines.push(["handshake hash", h], ["client's sending key", keys[0]], ["server's sending key", keys[1]]);
  return { block: lines, messages, handshakeHash: h, keys };
}

/** Protocol v1: the handshake and the first frames of both directions. */
export function v1Block(): VectorBlock {
  const { clientEphemeral: client, serverEphemeral: server } = vectorKeys;
  const dh = x25519.getSharedSecret(client, x25519.getPublicKey(server));
  const key = blake2b(dh, { dkLen: 32 });
  const seal = (counter: number, sequence: number, body: string): Uint8Array =>
    frame(
      gcm(key, concatBytes(u32be(0), u32be(counter), u32be(0))).encrypt(
        concatBytes(u32be(sequence), ascii(body)),
      ),
    );
  return [
    ["client private", client],
    ["server private", server],
    ["client writes", x25519.getPublicKey(client)],
    ["server writes", x25519.getPublicKey(server)],
    ["dh", dh],
    ["key", key],
    ["client's frame 0, one-way message", seal(0, 0, "hello")],
    ["client's frame 1, request 1", seal(1, 1, "What time is it?")],
    ["server's frame 0, response 1", seal(0, 1, "noon")],
    ["server's frame 1, request 2", seal(1, 2, "Still there?")],
    ["client's frame 2, response 2", seal(2, 2, "yes")],
  ];
}
