// sealwire on node:net.

import { nodeAdapter } from "./adapters/nodeSockets.ts";
import { createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";
export const { connect, listen } = createApi(nodeAdapter);
