// usePrecompiledModule takes a module of this build, of any realm, and nothing else.

import assert from "node:assert/strict";
import vm from "node:vm";
import { buildId } from "../../../src/core/wasmBinary.ts";
import { usePrecompiledModule, wasmBuild } from "../../../src/wasm.ts";
import { test } from "../../support/harness.ts";
import { plainModule as plain, relaxedModule } from "../../support/inlinedBuilds.ts";

/** An empty module: magic and version. */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** The module with another id in its section. */
function ofAnotherBuild(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(plain);
  const at = Buffer.from(bytes.buffer).lastIndexOf(buildId);
  assert.ok(at > 0);
  bytes[at]! ^= 1;
  return bytes;
}

/** An empty module with an id that is none: a custom section "sealwire" with this content. */
function withId(id: string): Uint8Array<ArrayBuffer> {
  const body = [8, ...Buffer.from("sealwire"), ...Buffer.from(id)];
  return Uint8Array.of(...EMPTY, 0, body.length, ...body);
}

test("what is no module, or one of another build, is refused before anything uses it", () => {
  const wrong: unknown[] = [
    undefined,
    null,
    5,
    "module",
    {},
    [],
    plain,
    plain.buffer,
    Object.create(WebAssembly.Module.prototype),
    new Proxy(new WebAssembly.Module(plain), {}),
    new WebAssembly.Module(EMPTY),
    new WebAssembly.Module(withId("")),
    new WebAssembly.Module(withId("0.1.0")),
    new WebAssembly.Module(ofAnotherBuild()),
    WebAssembly,
  ];
  for (const [i, module] of wrong.entries()) {
    const expected = { code: "ERR_INVALID_ARGUMENT", message: /^module must be a WebAssembly\.Module/ };
    assert.throws(() => usePrecompiledModule(module as object), expected, `value ${i}`);
  }
});

test("both builds say which they are", () => {
  for (const bytes of [plain, relaxedModule]) {
    if (!WebAssembly.validate(bytes)) continue;
    const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "sealwire");
    assert.equal(Buffer.from(section!).toString(), buildId);
  }
});

test("a module of another realm is taken, and runs", async () => {
  const module = vm.runInNewContext("new WebAssembly.Module(bytes)", { bytes: plain }) as object;
  usePrecompiledModule(module);
  assert.equal(wasmBuild(), "precompiled");
  const { blake2b } = await import("../../../src/crypto.ts");
  assert.equal(blake2b(new Uint8Array(0), { length: 1 }).length, 1);
  assert.throws(() => usePrecompiledModule(module), {
    code: "ERR_INVALID_ARGUMENT",
    message: /before the core/,
  });
});
