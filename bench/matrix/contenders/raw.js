// Control row: TCP without any encryption, with the framing and batching of sealwire. No encrypted row can be faster.
import { runtimeSockets } from "./sockets/index.js";

const sockets = await runtimeSockets();

export const listen = (_endpoint, handlers) => sockets.listen({}, handlers);
export const connect = ({ port }) => sockets.connect({ port });
