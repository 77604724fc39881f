// sealwire on Bun's own sockets.

import { bunAdapter } from "./adapters/bunSockets.ts";
import { createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";
export const { connect, listen } = createApi(bunAdapter);
