// Instantiates the crypto core once per thread, when it is first used. The module imports its memory and nothing else:
// the memory is there before the module is compiled. Its size is fixed, so that views of it live as long as the program
// and never detach.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { buildId, MEMORY_PAGES } from "./wasmBinary.ts";
import { moduleBuilds } from "./wasmBytes.ts";

/**
 * A WebAssembly.Module. That name is not used here, because it comes with TypeScript's DOM library, which a program for
 * Node, Bun or Deno may lack.
 */
export type CompiledModule = object;

/** The custom section of both builds that identifies their sources (scripts/buildWasm.js). */
const BUILD_SECTION = "sealwire";

/** A module that a caller compiled beforehand (see `usePrecompiledModule`). */
let precompiled: WebAssembly.Module | undefined;
let memory: WebAssembly.Memory | undefined;
let instance: WebAssembly.Instance | undefined;
let chosenBuild: "plain" | "relaxed" | "precompiled" = "plain";

/**
 * Uses a module that was compiled elsewhere (for example in another thread, from `sealwire/sealwire.wasm`) instead of
 * compiling the inlined one. Call it before the first use of the core.
 *
 * @param module a WebAssembly.Module, also of another realm, of this very version of the package
 * @throws SealwireError ERR_INVALID_ARGUMENT if it is anything else, or the core already runs; ERR_UNSUPPORTED
 *   without WebAssembly
 */
export function usePrecompiledModule(module: CompiledModule): void {
  requireWebAssembly();
  if (!isOurs(module)) {
    throw invalidArgument(
      "module",
      "a WebAssembly.Module of this version's sealwire.wasm or sealwire.relaxed.wasm",
    );
  }
  if (instance !== undefined) throw invalidArgument("module", "given before the core is first used");
  precompiled = module;
}

/**
 * The build that runs in this process: relaxed SIMD if the runtime validates it, otherwise plain SIMD.
 *
 * @throws SealwireError ERR_UNSUPPORTED if neither can run
 */
export function wasmBuild(): "plain" | "relaxed" | "precompiled" {
  wasmInstance();
  return chosenBuild;
}

/**
 * The module's memory. Pages that were never touched cost no physical memory.
 *
 * @throws SealwireError ERR_UNSUPPORTED if the runtime lacks WebAssembly, or the process lacks the address space
 * @internal
 */
export function wasmMemory(): WebAssembly.Memory {
  requireWebAssembly();
  memory ??= started(() => new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES }));
  return memory;
}

/**
 * The module instance, created at first use.
 *
 * @throws SealwireError ERR_UNSUPPORTED if the runtime lacks WebAssembly SIMD, or does not let it run
 * @internal
 */
export function wasmInstance(): WebAssembly.Instance {
  if (instance !== undefined) return instance;
  const imports = { env: { memory: wasmMemory() } };
  instance = started(() => new WebAssembly.Instance(precompiled ?? compile(), imports));
  if (precompiled !== undefined) chosenBuild = "precompiled";
  return instance;
}

/** What `start` gives; what the runtime throws is the cause of the error. */
function started<Part>(start: () => Part): Part {
  try {
    return start();
  } catch (cause) {
    if (cause instanceof SealwireError) throw cause;
    const text =
      "sealwire could not start its WebAssembly module: the runtime forbids it, or lacks 62 MiB of memory";
    throw new SealwireError("ERR_UNSUPPORTED", text, { cause });
  }
}

function compile(): WebAssembly.Module {
  for (const [build, bytes] of moduleBuilds()) {
    try {
      const module = new WebAssembly.Module(bytes);
      chosenBuild = build;
      return module;
    } catch (error) {
      // Validated only now, because compiling validates, too. A valid module that did not compile was forbidden.
      if (WebAssembly.validate(bytes)) throw error;
    }
  }
  throw new SealwireError("ERR_UNSUPPORTED", "sealwire needs a runtime with WebAssembly SIMD (128-bit)");
}

/**
 * Whether this is a module, of any realm, that was built together with this file. Another one would run and give wrong
 * results.
 */
function isOurs(module: unknown): module is WebAssembly.Module {
  let sections: ArrayBuffer[];
  try {
    // Throws for anything but a module.
    sections = WebAssembly.Module.customSections(module as WebAssembly.Module, BUILD_SECTION);
  } catch {
    return false;
  }
  return sections.length === 1 && String.fromCharCode(...new Uint8Array(sections[0]!)) === buildId;
}

function requireWebAssembly(): void {
  if (typeof WebAssembly === "object") return;
  const text =
    "sealwire needs WebAssembly, which this runtime lacks or was started without (such as node --jitless)";
  throw new SealwireError("ERR_UNSUPPORTED", text);
}
