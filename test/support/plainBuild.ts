import { usePrecompiledModule } from "../../src/core/instantiate.ts";
import { plainBase64 } from "../../src/core/wasmBinary.ts";

/**
 * Makes this process run the plain SIMD build, also where the runtime would choose the relaxed one. Call it
 * before the core is imported; a function, because package.json lets bundlers drop imports for effect.
 */
export function usePlainBuild(): void {
  const bytes = Uint8Array.from(atob(plainBase64), (character) => character.charCodeAt(0));
  usePrecompiledModule(new WebAssembly.Module(bytes));
}
