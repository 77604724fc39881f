// Control row: TCP without any crypto, with the framing and batching of sealwire. The ceiling.
import { runtimeSockets } from "./sockets/index.js";

const sockets = await runtimeSockets();

export const listen = (_endpoint, handlers) => sockets.listen({}, handlers);
export const connect = ({ port }) => sockets.connect({ port });
