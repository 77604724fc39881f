// Control row: node:tls in Deno; see contender.js for why there are two TLS rows there.
import { connect as dial, listen as serve } from "./sockets/node.js";

export const listen = ({ credentials }, handlers) => serve({ credentials }, handlers);
export const connect = ({ port, credentials }) => dial({ port, credentials });
