// sealwire on Deno's own sockets.

import { denoAdapter } from "./adapters/deno.ts";
import { createApi } from "./rpc/api.ts";

export * from "./common.ts";
export const { connect, listen } = createApi(denoAdapter);
