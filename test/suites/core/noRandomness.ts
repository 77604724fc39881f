// Without Web Crypto and node:crypto there is no source of random bytes: the package refuses to make keys.

import assert from "node:assert/strict";
import type { SealwireError } from "../../../src/base/errors.ts";
import { test } from "../../support/harness.ts";

Object.defineProperty(process, "getBuiltinModule", { value: undefined, configurable: true });
Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true, writable: true });
const { generateKeyPair, noise } = await import("../../../src/noise.ts");
const { mlKem768Encapsulate, mlKem768KeyPair, x25519KeyPair } = await import("../../../src/crypto.ts");

test("a fresh key is ERR_UNSUPPORTED, a given one works", () => {
  const unsupported = { code: "ERR_UNSUPPORTED", message: /crypto\.getRandomValues/ };
  assert.throws(() => generateKeyPair(), unsupported);
  assert.throws(() => x25519KeyPair(), unsupported);
  assert.throws(() => mlKem768KeyPair(), unsupported);
  const { encapsulationKey } = mlKem768KeyPair(new Uint8Array(64).fill(7));
  assert.throws(() => mlKem768Encapsulate(encapsulationKey), unsupported);
  const client = noise().create("client", { remoteAddress: "" });
  assert.throws(
    () => client.send(),
    (error: SealwireError) => {
      assert.equal(error.code, "ERR_HANDSHAKE");
      assert.equal((error.cause as SealwireError).code, "ERR_UNSUPPORTED");
      return true;
    },
  );
  assert.equal(x25519KeyPair(new Uint8Array(32).fill(7)).publicKey.length, 32);
});
