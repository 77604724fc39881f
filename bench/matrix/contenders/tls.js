// Control row: TLS 1.3 of the runtime, with the framing and batching of sealwire. cipher.js reads the cipher suite from
// the wire, and it is printed with the results.
import { runtimeSockets } from "./sockets/index.js";

const sockets = await runtimeSockets();

export const listen = ({ credentials }, handlers) => sockets.listen({ credentials }, handlers);
export const connect = ({ port, credentials }) => sockets.connect({ port, credentials });
