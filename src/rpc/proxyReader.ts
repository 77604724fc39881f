// Reads the headers of proxies for a server that trusts them. Loaded only where the option `proxyProtocol` asks for it.

import { ProxiedTransport } from "./proxiedTransport.ts";
import { type ProxyHeaderRead, readProxyHeader } from "./proxyHeader.ts";
import type { Transport } from "./transport.ts";

/** Reads headers, and shows sockets as those of the clients that they name. */
export interface ProxyReader {
  read(received: Uint8Array): ProxyHeaderRead;
  through(transport: Transport, address: string): Transport;
}

export const proxyReader: ProxyReader = {
  read: readProxyHeader,
  through: (transport, address) => new ProxiedTransport(transport, address),
};
