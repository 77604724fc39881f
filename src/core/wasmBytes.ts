// The two builds of the crypto core as bytes, from the inlined text of scripts/buildWasm.js. A small module of its own
// unpacks them (assembly/unpack.ts): code that runs once is compiled by no engine's fast compiler, but WebAssembly is fast
// from its first call on. No runtime's zlib is needed, and the text is a quarter shorter than what zlib could read.

import { decodeBase64 } from "./base64.ts";
import type { OwnBytes } from "./bytes.ts";
import { encodeText } from "./text.ts";
import { packedBuilds, plainBytes, relaxedBytes, unpacker } from "./wasmBinary.ts";

/** The exports of assembly/unpack.ts. */
interface Unpacker {
  readonly memory: WebAssembly.Memory;
  readonly input: WebAssembly.Global;
  readonly output: WebAssembly.Global;
  /** Writes this many more bytes to where it stopped. */
  unpack(bytes: number): void;
}

/**
 * The builds, the one that needs more of the runtime first: "relaxed" uses relaxed SIMD (sealwire.relaxed.wasm), "plain"
 * is for every runtime with SIMD (sealwire.wasm). Each is unpacked when it is asked for.
 *
 * @throws what the runtime throws that lets no WebAssembly run
 */
export function* moduleBuilds(): Generator<readonly ["relaxed" | "plain", OwnBytes]> {
  const module = new WebAssembly.Module(decodeBase64(unpacker)!);
  const { memory, input, output, unpack } = new WebAssembly.Instance(module).exports as unknown as Unpacker;
  new Uint8Array(memory.buffer).set(encodeText(packedBuilds), input.value);
  unpack(relaxedBytes);
  yield ["relaxed", new Uint8Array(memory.buffer, output.value, relaxedBytes)];
  unpack(plainBytes);
  yield ["plain", new Uint8Array(memory.buffer, output.value + relaxedBytes, plainBytes)];
}
