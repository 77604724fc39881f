// sealwire on Bun's own sockets.

import { bunAdapter } from "./adapters/bun.ts";
import { createApi } from "./rpc/api.ts";

export * from "./common.ts";
export const { connect, listen } = createApi(bunAdapter);
