// `sealwire/wasm`: which build of the crypto core runs, and the hook for a module compiled elsewhere.
// The raw modules are exported as `sealwire/sealwire.wasm` and `sealwire/sealwire.relaxed.wasm`.

export { type CompiledModule, usePrecompiledModule, wasmBuild } from "./core/instantiate.ts";
