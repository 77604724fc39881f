// Control row: TLS 1.3 of the runtime, with the framing and batching of sealwire. Which cipher suite ran
// is read off the wire (cipher.js) and printed with the results.
import { runtimeSockets } from "./sockets/index.js";

const sockets = await runtimeSockets();

export const listen = ({ credentials }, handlers) => sockets.listen({ credentials }, handlers);
export const connect = ({ port, credentials }) => sockets.connect({ port, credentials });
