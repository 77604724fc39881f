// The engine says which code computes AES-256-GCM. All engines give the same bytes:
//
//   wasm       The module computes everything.
//   keystream  The runtime's AES makes the keystream of a whole batch in one call, because the counters are known
//              beforehand. XOR, GHASH and tags stay in the module.
//   native     The runtime's GCM seals or opens message by message.
//   auto       The fastest of these is chosen by size (tuning.ts).

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { nodeCrypto } from "./runtimeAes.ts";

/** The code that computes AES-256-GCM; all engines give the same bytes. `auto` chooses by size and runtime. */
export type Engine = "auto" | "wasm" | "keystream" | "native";
export const engines: readonly Engine[] = ["auto", "wasm", "keystream", "native"];

/** @throws SealwireError ERR_INVALID_ARGUMENT; ERR_UNSUPPORTED for an engine that this runtime lacks */
export function checkEngine(engine: Engine): void {
  if (!engines.includes(engine)) throw invalidArgument("engine", '"auto", "wasm", "keystream" or "native"');
  requireEngine(engine);
}

/** @throws SealwireError ERR_UNSUPPORTED if `engine` needs node:crypto and this runtime lacks it */
export function requireEngine(engine: Engine): void {
  if ((engine === "keystream" || engine === "native") && nodeCrypto() === undefined) {
    throw new SealwireError("ERR_UNSUPPORTED", `engine "${engine}" needs node:crypto`);
  }
}
