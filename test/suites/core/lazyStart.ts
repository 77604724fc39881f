// The module is compiled when it is first used, not when the package is imported. A runtime that lets no module run says
// so then, with one typed error, and the core starts as soon as it may.

import assert from "node:assert/strict";
import { SealwireError } from "../../../src/base/errors.ts";
import { test } from "../../support/harness.ts";

const { Module, Instance } = WebAssembly;
/** Modules that were compiled, and instances that were made, since this file began. */
const made = { modules: 0, instances: 0 };
let forbidden = false;

class CountedModule extends Module {
  constructor(bytes: ArrayBufferView<ArrayBuffer> | ArrayBuffer) {
    if (forbidden) throw new WebAssembly.CompileError("the embedder forbids it");
    super(bytes);
    made.modules++;
  }
}
class CountedInstance extends Instance {
  constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
    super(module, imports);
    made.instances++;
  }
}
Object.assign(WebAssembly, { Module: CountedModule, Instance: CountedInstance });

const { connect, listen, generateKeyPair, noise } = await import("../../../src/index.ts");
const { aes256gcm, blake2b, x25519PublicKey } = await import("../../../src/crypto.ts");

const psk = "5e".repeat(32);
const key = new Uint8Array(32).fill(7);

test("an import compiles nothing", () => {
  assert.deepEqual(made, { modules: 0, instances: 0 });
});

test("every first use of a runtime that forbids modules fails with one typed error", async () => {
  forbidden = true;
  const isUnsupported = (error: unknown): boolean => {
    assert.ok(error instanceof SealwireError);
    assert.equal(error.code, "ERR_UNSUPPORTED");
    assert.match(error.message, /could not start its WebAssembly module/);
    assert.ok(error.cause instanceof WebAssembly.CompileError);
    return true;
  };
  const uses: Record<string, () => unknown> = {
    connect: () => connect({ port: 1, psk }),
    "a client of several servers": () => connect({ endpoints: [{ port: 1 }], psk }),
    generateKeyPair: () => generateKeyPair(),
    noise: () => noise({ staticKey: key, remoteStatic: key }),
    blake2b: () => blake2b(key),
    x25519PublicKey: () => x25519PublicKey(key),
    aes256gcm: () => aes256gcm(key).seal(new Uint8Array(12), key),
  };
  for (const [name, use] of Object.entries(uses)) assert.throws(use, isUnsupported, name);
  await assert.rejects(listen({ port: 0, psk }), isUnsupported);
  assert.deepEqual(made, { modules: 0, instances: 0 });
  forbidden = false;
});

test("the first use starts the core, once", async () => {
  const digest = blake2b(new Uint8Array(0), { length: 1 });
  assert.equal(digest.length, 1);
  const after = { ...made };
  // One unpacks the other.
  assert.equal(after.instances, 2);
  const server = await listen({ port: 0, psk, onMessage: (message) => message.reply(message.body) });
  const client = connect({ port: server.port, psk });
  assert.deepEqual([...(await client.request(key))], [...key]);
  await client.close();
  await server.close();
  assert.deepEqual(made, after);
});
