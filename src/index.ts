// sealwire on the sockets of the runtime that it finds itself in.

import type { Api } from "./rpc/api.ts";

export * from "./entry/common.ts";

async function pickRuntime(): Promise<Api> {
  if ("Bun" in globalThis) return import("./bun.ts");
  if ("Deno" in globalThis) return import("./deno.ts");
  return import("./node.ts");
}

export const { connect, listen }: Api = await pickRuntime();
