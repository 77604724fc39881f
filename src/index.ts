// sealwire on the sockets of the runtime that it finds itself in.

import { ownSockets } from "./entry/pickAdapter.ts";
import { type Api, createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";

const api: Api = createApi(ownSockets());
export const connect: Api["connect"] = api.connect;
export const listen: Api["listen"] = api.listen;
