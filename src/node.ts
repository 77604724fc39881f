// sealwire on node:net.

import { nodeAdapter } from "./adapters/node.ts";
import { createApi } from "./rpc/api.ts";

export * from "./common.ts";
export const { connect, listen } = createApi(nodeAdapter);
