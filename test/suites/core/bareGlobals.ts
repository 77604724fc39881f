// Globals that are not part of the language are optional: environments that imitate browsers (jsdom, node:vm) have only
// some of them. This suite removes them before the package is imported.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { drive } from "../../support/handshakePair.ts";
import { test } from "../../support/harness.ts";

const optional = [
  "AbortController",
  "AbortSignal",
  "MessageChannel",
  "SharedArrayBuffer",
  "TextDecoder",
  "TextEncoder",
  "atob",
  "btoa",
  "crypto",
  "structuredClone",
] as const;
/** What the runner needs of them between tests. */
const kept = new Map<string, PropertyDescriptor | undefined>();
for (const name of optional) {
  kept.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
  delete (globalThis as Record<string, unknown>)[name];
}
const missing = optional.filter((name) => !(name in globalThis));

const primitives = await import("../../../src/crypto.ts");
const noise = await import("../../../src/noise.ts");
const { encodeError, decodeError, Origin } = await import("../../../src/protocol/errorBody.ts");
const { detach } = await import("../../../src/core/detach.ts");
const { isAbortSignal } = await import("../../../src/core/abortSignal.ts");

test("they are really gone", () => {
  assert.deepEqual(missing, [...optional]);
});

test("keys are made and read", () => {
  const { privateKey, publicKey } = noise.generateKeyPair();
  assert.deepEqual(primitives.x25519PublicKey(privateKey), publicKey);
  assert.notDeepEqual(noise.generateKeyPair().privateKey, privateKey);
  assert.deepEqual(noise.decodeKey("key", noise.encodeKey(publicKey)), publicKey);
  assert.equal(noise.encodeKey(publicKey), Buffer.from(publicKey).toString("base64url"));
});

test("text becomes bytes and back", () => {
  const error = decodeError(encodeError(Origin.handler, "E_CODE", "Grüße, 世界 🌍"));
  assert.deepEqual([error.remoteCode, error.message], ["E_CODE", "Grüße, 世界 🌍"]);
  const malformed = Uint8Array.of(Origin.handler, 1, 65, 0, 2, 0xff, 0x41);
  assert.equal(decodeError(malformed).message, "\ufffdA");
});

test("a handshake and its transport run", () => {
  const options = { pattern: "XX", prologue: new Uint8Array(3) };
  const initiator = new noise.HandshakeState({ ...options, initiator: true, s: noise.generateKeyPair() });
  const responder = new noise.HandshakeState({ ...options, initiator: false, s: noise.generateKeyPair() });
  responder.readMessage(initiator.writeMessage());
  initiator.readMessage(responder.writeMessage());
  responder.readMessage(initiator.writeMessage());
  const [{ send }, { receive }] = [initiator.split(), responder.split()];
  const [ad, text] = [new Uint8Array(0), new Uint8Array(90_000).fill(7)];
  assert.deepEqual(receive.decryptWithAd(ad, send.encryptWithAd(ad, text)), text);
});

test("both forms of a handshake run, with fresh keys of X25519 and ML-KEM", () => {
  const names = {
    "Noise_NNhfs+psk0_25519+MLKEM768_AESGCM_BLAKE2b": true,
    Noise_NNpsk0_25519_AESGCM_BLAKE2b: false,
  };
  for (const [name, postQuantum] of Object.entries(names)) {
    const options = { psk: new Uint8Array(32), prologue: "ü", postQuantum };
    const [client, server] = [noise.noise(options, "client"), noise.noise(options, "server")];
    assert.equal(client.name, name);
    const info = { remoteAddress: "" };
    const [atClient, atServer] = drive(client.create("client", info), server.create("server", info));
    assert.deepEqual(atClient.sendKey, atServer.receiveKey);
  }
});

test("memory of the runtime's is left to the collector where nothing can free it", () => {
  const bytes = new Uint8Array(65_536).fill(7);
  detach(bytes);
  assert.ok(bytes.length === 0 || bytes.every((byte) => byte === 7));
});

test("a signal is known by what it can do", () => {
  const { value } = kept.get("AbortController") ?? {};
  if (typeof value === "function") assert.equal(isAbortSignal(new value().signal), true);
  assert.equal(isAbortSignal({ aborted: false, addEventListener() {}, removeEventListener() {} }), true);
});

test("nothing weaker than the system's random numbers is ever taken", async () => {
  // What a browser without node:crypto has: only the global.
  assert.equal(typeof webcrypto.getRandomValues, "function");
  const { randomBytes } = await import("../../../src/core/random.ts");
  const seen = new Set(Array.from({ length: 50 }, () => Buffer.from(randomBytes(16)).toString("hex")));
  assert.equal(seen.size, 50);
});
