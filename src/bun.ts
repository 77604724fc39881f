// sealwire on Bun's own sockets.

import { bunSockets } from "./entry/pickAdapter.ts";
import { type Api, createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";

const api: Api = createApi(bunSockets());
export const connect: Api["connect"] = api.connect;
export const listen: Api["listen"] = api.listen;
