import assert from "node:assert/strict";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { CipherState } from "../../../src/protocol/noise/cipherState.ts";
import { SymmetricState } from "../../../src/protocol/noise/symmetricState.ts";
import { test } from "../../support/harness.ts";
import { toHex } from "../../support/vectors.ts";

const NO_AD = new Uint8Array(0);
const key = Uint8Array.from({ length: 32 }, (_, i) => 7 * i + 1);
const text = new TextEncoder().encode("Keep your counters apart");

function keyed(): CipherState {
  const cipher = new CipherState();
  cipher.initializeKey(key);
  return cipher;
}

/** Noise section 12.4: 32 zero bits, then n big-endian. */
function nonceOf(high: number, low: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(4, high);
  new DataView(nonce.buffer).setUint32(8, low);
  return nonce;
}

test("without a key, bytes pass unchanged and as copies", () => {
  const cipher = new CipherState();
  assert.equal(cipher.hasKey, false);
  for (const out of [cipher.encryptWithAd(NO_AD, text), cipher.decryptWithAd(NO_AD, text)]) {
    assert.deepEqual(out, text);
    assert.notEqual(out.buffer, text.buffer);
  }
});

test("AES-GCM under the nonce of section 12.4, counting up, with associated data", () => {
  const cipher = keyed();
  const ad = new TextEncoder().encode("ad");
  for (let n = 0; n < 300; n++) {
    assert.equal(toHex(cipher.encryptWithAd(ad, text)), toHex(gcm(key, nonceOf(0, n), ad).encrypt(text)));
  }
});

test("n carries from the low half to the high half", () => {
  const cipher = keyed();
  cipher.setNonce(0, 0xffffffff);
  for (const nonce of [nonceOf(0, 0xffffffff), nonceOf(1, 0), nonceOf(1, 1)]) {
    assert.equal(toHex(cipher.encryptWithAd(NO_AD, text)), toHex(gcm(key, nonce).encrypt(text)));
  }
});

test("2^64 - 1 is reserved: encryption and decryption stop before it", () => {
  const cipher = keyed();
  cipher.setNonce(0xffffffff, 0xfffffffe);
  cipher.encryptWithAd(NO_AD, text);
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.throws(() => cipher.encryptWithAd(NO_AD, text), { code: "ERR_COUNTER_EXHAUSTED" });
    assert.throws(() => cipher.decryptWithAd(NO_AD, text), { code: "ERR_COUNTER_EXHAUSTED" });
  }
});

test("a failed decryption leaves n as it was", () => {
  const sender = keyed();
  const receiver = keyed();
  const sealed = sender.encryptWithAd(NO_AD, text);
  for (let i = 0; i < sealed.length; i++) {
    const bad = new Uint8Array(sealed);
    bad[i]! ^= 0x40;
    assert.throws(() => receiver.decryptWithAd(NO_AD, bad), { code: "ERR_DECRYPT" });
  }
  assert.throws(() => receiver.decryptWithAd(text, sealed), { code: "ERR_DECRYPT" });
  assert.throws(() => receiver.decryptWithAd(NO_AD, sealed.subarray(0, 15)), { code: "ERR_DECRYPT" });
  assert.deepEqual(receiver.decryptWithAd(NO_AD, sealed), text);
  assert.throws(() => receiver.decryptWithAd(NO_AD, sealed), { code: "ERR_DECRYPT" });
});

test("rekey is section 11.3 and leaves n", () => {
  const cipher = keyed();
  for (let n = 0; n < 3; n++) cipher.encryptWithAd(NO_AD, text);
  let k = key;
  for (let times = 0; times < 3; times++) {
    k = gcm(k, nonceOf(0xffffffff, 0xffffffff)).encrypt(new Uint8Array(32)).slice(0, 32);
    cipher.rekey();
    assert.equal(
      toHex(cipher.encryptWithAd(NO_AD, text)),
      toHex(gcm(k, nonceOf(0, 3 + times)).encrypt(text)),
    );
  }
  assert.throws(() => new CipherState().rekey(), { code: "ERR_INVALID_ARGUMENT" });
});

test("a new key starts at n = 0; destroy leaves no key", () => {
  const cipher = keyed();
  cipher.encryptWithAd(NO_AD, text);
  cipher.initializeKey(key);
  assert.equal(toHex(cipher.encryptWithAd(NO_AD, text)), toHex(gcm(key, nonceOf(0, 0)).encrypt(text)));
  cipher.destroy();
  cipher.destroy();
  assert.equal(cipher.hasKey, false);
});

test("the key is copied, and bad arguments name themselves", () => {
  const mine = new Uint8Array(key);
  const cipher = new CipherState();
  cipher.initializeKey(mine);
  mine.fill(0);
  assert.equal(toHex(cipher.encryptWithAd(NO_AD, text)), toHex(gcm(key, nonceOf(0, 0)).encrypt(text)));
  for (const bad of [new Uint8Array(31), new Uint8Array(33), "k" as unknown as Uint8Array]) {
    assert.throws(() => cipher.initializeKey(bad), { code: "ERR_INVALID_ARGUMENT", message: /^key must/ });
  }
  for (const [high, low] of [
    [-1, 0],
    [0, 2 ** 32],
    [0.5, 0],
    [0, Number.NaN],
  ] as const) {
    assert.throws(() => cipher.setNonce(high, low), { code: "ERR_INVALID_ARGUMENT" });
  }
});

test("SymmetricState pads a protocol name of 64 bytes and hashes one of 65", () => {
  const short = "a".repeat(64);
  assert.equal(toHex(new SymmetricState(short).getHandshakeHash()), "61".repeat(64));
  const long = new SymmetricState("a".repeat(65)).getHandshakeHash();
  assert.equal(long.length, 64);
  assert.notEqual(toHex(long).slice(0, 8), "61616161");
});

test("SymmetricState checks its arguments and leaves its state alone when they are wrong", () => {
  const [one, other] = [new SymmetricState("name"), new SymmetricState("name")];
  for (const bad of ["text", undefined, new Uint8Array(1_000_000)] as unknown as Uint8Array[]) {
    assert.throws(() => one.mixHash(bad), { code: "ERR_INVALID_ARGUMENT", message: /^data must/ });
    assert.throws(() => one.mixKey(bad), { code: "ERR_INVALID_ARGUMENT", message: /^inputKeyMaterial must/ });
    assert.throws(() => one.mixKeyAndHash(bad), {
      code: "ERR_INVALID_ARGUMENT",
      message: /^inputKeyMaterial must/,
    });
  }
  for (const state of [one, other]) {
    state.mixHash(new Uint8Array(70_000));
    state.mixKeyAndHash(key);
  }
  assert.deepEqual(one.getHandshakeHash(), other.getHandshakeHash());
  assert.deepEqual(one.splitKeys(), other.splitKeys());
});

test("ChaChaPoly: the nonce of section 12.3 counts in its low bytes first, and carries; rekey is section 11.3", () => {
  const littleNonce = (high: number, low: number): Uint8Array => {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setUint32(4, low, true);
    new DataView(nonce.buffer).setUint32(8, high, true);
    return nonce;
  };
  const ad = new TextEncoder().encode("ad");
  const cipher = new CipherState("auto", "ChaChaPoly");
  const back = new CipherState("wasm", "ChaChaPoly");
  for (const end of [cipher, back]) {
    end.initializeKey(key);
    end.setNonce(0x01020304, 0xfffffffe);
  }
  for (const [high, low] of [
    [0x01020304, 0xfffffffe] as const,
    [0x01020304, 0xffffffff] as const,
    [0x01020305, 0] as const,
  ]) {
    const sealed = cipher.encryptWithAd(ad, text);
    assert.equal(toHex(sealed), toHex(chacha20poly1305(key, littleNonce(high, low), ad).encrypt(text)));
    const damaged = sealed.slice();
    damaged[0]! ^= 1;
    assert.throws(() => back.decryptWithAd(ad, damaged), { code: "ERR_DECRYPT" });
    assert.deepEqual(back.decryptWithAd(ad, sealed), text);
  }
  const reserved = littleNonce(0xffffffff, 0xffffffff);
  const next = chacha20poly1305(key, reserved).encrypt(new Uint8Array(32)).subarray(0, 32);
  cipher.rekey();
  assert.equal(
    toHex(cipher.encryptWithAd(NO_AD, text)),
    toHex(chacha20poly1305(next, littleNonce(0x01020305, 1)).encrypt(text)),
  );
  cipher.setNonce(0xffffffff, 0xffffffff);
  assert.throws(() => cipher.encryptWithAd(NO_AD, text), { code: "ERR_COUNTER_EXHAUSTED" });
  for (const end of [cipher, back]) end.destroy();
});

test("a cipher that does not exist, and an engine that ChaChaPoly does not have, are named", () => {
  for (const name of ["AES", "chachapoly", null, 1]) {
    assert.throws(() => new CipherState("auto", name as "AESGCM"), {
      code: "ERR_INVALID_ARGUMENT",
      message: /^cipher/,
    });
  }
  assert.throws(() => new CipherState("keystream", "ChaChaPoly"), { message: /^engine/ });
});
