// sealwire on the sockets of the runtime that it finds itself in.

import { ownSockets } from "./entry/pickAdapter.ts";
import { type Api, createApi } from "./rpc/api.ts";

export * from "./entry/common.ts";

const api: Api = createApi(ownSockets());
/** A client on the sockets of this runtime; see `Api.connect`. */
export const connect: Api["connect"] = api.connect;
/** A server on the sockets of this runtime; see `Api.listen`. */
export const listen: Api["listen"] = api.listen;
