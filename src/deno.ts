// sealwire on Deno's own sockets.

import { denoAdapter } from "./adapters/denoSockets.ts";
import { createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";
export const { connect, listen } = createApi(denoAdapter);
