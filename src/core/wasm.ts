// Instantiates the crypto core once per thread. The module has no imports and fixed memory, so the views
// made here live as long as the program and never detach.

import { SealwireError } from "../errors.ts";
import { plainBase64, relaxedBase64 } from "./wasmBinary.ts";

/** Base64 to bytes without Buffer, so that nothing here depends on a runtime. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** A module that a caller compiled beforehand (see `usePrecompiledModule`). */
let precompiled: WebAssembly.Module | undefined;
let instance: WebAssembly.Instance | undefined;
let chosenBuild: "plain" | "relaxed" | "precompiled" = "plain";

/**
 * Use a module compiled elsewhere (for example in another thread, from `sealwire/sealwire.wasm`) instead of
 * compiling the inlined one. Must be called before the first use of the core.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT when it is not a WebAssembly.Module or the core already runs.
 */
export function usePrecompiledModule(module: WebAssembly.Module): void {
  if (!(module instanceof WebAssembly.Module)) {
    throw new SealwireError("ERR_INVALID_ARGUMENT", "module must be a WebAssembly.Module");
  }
  if (instance !== undefined) {
    throw new SealwireError("ERR_INVALID_ARGUMENT", "module must be given before the core is first used");
  }
  precompiled = module;
}

/** Which build runs in this process: relaxed SIMD where the runtime validates it, else plain SIMD. */
export function wasmBuild(): "plain" | "relaxed" | "precompiled" {
  wasmInstance();
  return chosenBuild;
}

/**
 * The module instance, created at first use.
 *
 * @throws SealwireError ERR_UNSUPPORTED where the runtime has no WebAssembly SIMD.
 */
export function wasmInstance(): WebAssembly.Instance {
  if (instance !== undefined) return instance;
  if (precompiled !== undefined) {
    chosenBuild = "precompiled";
    instance = new WebAssembly.Instance(precompiled);
    return instance;
  }
  let bytes = decodeBase64(relaxedBase64);
  chosenBuild = "relaxed";
  if (!WebAssembly.validate(bytes)) {
    bytes = decodeBase64(plainBase64);
    chosenBuild = "plain";
    if (!WebAssembly.validate(bytes)) {
      throw new SealwireError("ERR_UNSUPPORTED", "sealwire needs a runtime with WebAssembly SIMD (128-bit)");
    }
  }
  instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return instance;
}
