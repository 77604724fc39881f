// sealwire on node:net.

import { nodeAdapter } from "./adapters/nodeSockets.ts";
import { type Api, createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";

const api: Api = createApi(nodeAdapter);
export const connect: Api["connect"] = api.connect;
export const listen: Api["listen"] = api.listen;
