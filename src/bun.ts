// sealwire on Bun's own sockets.

import { bunSockets } from "./entry/pickAdapter.ts";
import { type Api, createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";

const api: Api = createApi(bunSockets());
/** A client on these sockets; see `Api.connect`. */
export const connect: Api["connect"] = api.connect;
/** A server on these sockets; see `Api.listen`. */
export const listen: Api["listen"] = api.listen;
