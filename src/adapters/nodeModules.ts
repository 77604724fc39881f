// The modules of Node that sockets and known peers need, loaded when they are first used: node:net alone takes 5 ms of an
// import in Node and 12 in Bun, whose own sockets may never need it.

import type * as NodeBuffer from "node:buffer";
import type * as Dns from "node:dns/promises";
import type * as Fs from "node:fs";
import type * as Files from "node:fs/promises";
import type * as Net from "node:net";
import type * as Path from "node:path";
import { SealwireError } from "../base/errors.ts";
import { builtinModule } from "../core/builtin.ts";

interface Modules {
  buffer: typeof NodeBuffer;
  "dns/promises": typeof Dns;
  fs: typeof Fs;
  "fs/promises": typeof Files;
  net: typeof Net;
  path: typeof Path;
}

const loaded: Partial<Modules> = {};

/** Not in Node before 20.16, which gives its modules to imports only. */
const givesModules = typeof globalThis.process?.getBuiltinModule === "function";
let loading: Promise<void> | undefined;

/** Bundlers leave these imports as they are: the runtimes that they bundle for need none of them. */
async function importAll(): Promise<void> {
  try {
    const [buffer, dns, fs, files, net, path] = await Promise.all([
      import(/* webpackIgnore: true */ "node:buffer"),
      import(/* webpackIgnore: true */ "node:dns/promises"),
      import(/* webpackIgnore: true */ "node:fs"),
      import(/* webpackIgnore: true */ "node:fs/promises"),
      import(/* webpackIgnore: true */ "node:net"),
      import(/* webpackIgnore: true */ "node:path"),
    ]);
    Object.assign(loaded, { buffer, "dns/promises": dns, fs, "fs/promises": files, net, path });
  } catch {
    // What is missing is told when it is used. The next use tries again.
    loading = undefined;
  }
}

/**
 * Undefined if `nodeModule` gives modules at once; otherwise it does when this promise has resolved, which never rejects.
 */
export function modulesLoading(): Promise<void> | undefined {
  if (givesModules || loaded.net !== undefined) return undefined;
  loading ??= importAll();
  return loading;
}

/**
 * A module of the runtime.
 *
 * @throws SealwireError ERR_UNSUPPORTED if the runtime lacks it
 */
export function nodeModule<Name extends keyof Modules>(name: Name): Modules[Name] {
  const module = loaded[name] ?? (builtinModule(`node:${name}`) as Modules[Name] | undefined);
  if (module === undefined) throw new SealwireError("ERR_UNSUPPORTED", `this runtime lacks node:${name}`);
  loaded[name] = module;
  return module;
}
