// The two builds of the crypto core as bytes, from the inlined text of scripts/buildWasm.js: the plain one deflated,
// the relaxed one as the difference to it (format: scripts/moduleDelta.js).

import { decodeBase64 } from "./base64.ts";
import { builtinModule } from "./builtin.ts";
import type { OwnBytes } from "./bytes.ts";
import { inflateRaw } from "./inflate.ts";
import { deltaBytes, deltaDeflated, plainBytes, plainDeflated, relaxedBytes } from "./wasmBinary.ts";

/** The members of node:buffer and node:zlib that this package uses. */
interface RuntimeDecoders {
  readonly Buffer?: { from(text: string, encoding: "base64"): Uint8Array };
  readonly inflateRawSync?: (deflated: Uint8Array) => Uint8Array;
}

/**
 * The runtime's own decoder of base64 and its zlib, if it has them. The data are not secret. This package's decoders
 * run only once, so no compiler optimizes them, and they took most of an import (docs/PERFORMANCE-LOG.md).
 */
function inflated(deflated: string, length: number): OwnBytes {
  const { Buffer } = (builtinModule("node:buffer") ?? {}) as RuntimeDecoders;
  const { inflateRawSync } = (builtinModule("node:zlib") ?? {}) as RuntimeDecoders;
  if (Buffer === undefined || inflateRawSync === undefined) {
    return inflateRaw(decodeBase64(deflated)!, length);
  }
  return new Uint8Array(inflateRawSync(Buffer.from(deflated, "base64")));
}

/** The build for every runtime with SIMD (sealwire.wasm). */
export function plainModuleBytes(): OwnBytes {
  return inflated(plainDeflated, plainBytes);
}

/** The build that uses relaxed SIMD (sealwire.relaxed.wasm), made of the plain one. */
export function relaxedModuleBytes(plain: Uint8Array): OwnBytes {
  const delta = inflated(deltaDeflated, deltaBytes);
  const relaxed = new Uint8Array(relaxedBytes);
  let at = 0;
  let written = 0;
  let sourceAt = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = delta[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < delta.length) {
    const fresh = number();
    const zigzag = number();
    const copied = number();
    relaxed.set(delta.subarray(at, at + fresh), written);
    at += fresh;
    written += fresh;
    sourceAt += (zigzag >> 1) ^ -(zigzag & 1);
    relaxed.set(plain.subarray(sourceAt, sourceAt + copied), written);
    sourceAt += copied;
    written += copied;
  }
  return relaxed;
}
