import { usePrecompiledModule } from "../../src/core/instantiate.ts";
import { plainModuleBytes } from "../../src/core/wasmBytes.ts";

/**
 * Makes this process run the plain SIMD build, also where the runtime would choose the relaxed one. Call it
 * before the core is imported; a function, because package.json lets bundlers drop imports for effect.
 */
export function usePlainBuild(): void {
  usePrecompiledModule(new WebAssembly.Module(plainModuleBytes()));
}
