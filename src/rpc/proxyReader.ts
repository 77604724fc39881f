// Reads PROXY headers for a server that trusts their senders. Loaded only with the option `proxyProtocol`.

import { ProxiedTransport } from "./proxiedTransport.ts";
import { type ProxyHeaderRead, readProxyHeader } from "./proxyHeader.ts";
import type { Transport } from "./transport.ts";

/** Reads headers, and gives sockets the addresses of the clients that the headers name. */
export interface ProxyReader {
  read(received: Uint8Array): ProxyHeaderRead;
  through(transport: Transport, address: string): Transport;
}

export const proxyReader: ProxyReader = {
  read: readProxyHeader,
  through: (transport, address) => new ProxiedTransport(transport, address),
};
