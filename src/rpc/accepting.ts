// Keeps a server's accepted sockets until they get a connection. Trusted proxies send a header before their clients'
// bytes; bad headers are counted here, and so are sockets that end without a word.

import { loadPart } from "../base/loadPart.ts";
import type { HandshakeFactory } from "../protocol/handshake.ts";
import { AcceptedSocket, MAX_SURPLUS_BYTES, type SocketOwner } from "./acceptedSocket.ts";
import { addressGroup } from "./addressGroup.ts";
import type { Admission } from "./admission.ts";
import type { ProxyReader } from "./proxyReader.ts";
import type { Serving } from "./servingOptions.ts";
import type { Transport, TransportEvents } from "./transport.ts";

export class Accepting implements SocketOwner {
  readonly #proxies: Serving["proxies"];
  readonly #admission: Admission;
  readonly #handshake: () => HandshakeFactory;
  readonly #onLeft: () => void;
  /** Accepted sockets without a connection that are not gone. */
  readonly #sockets = new Set<AcceptedSocket>();
  /** Loaded before anything is accepted, if proxies are trusted. */
  #proxyReader: ProxyReader | undefined;
  #keepsAlive = true;
  /** Sockets that ended before their peer sent a byte. */
  probes = 0;
  /** Trusted proxies that sent bytes that are no valid header. */
  badProxyHeaders = 0;

  /**
   * @param handshake the factory of handshakes that begin now
   * @param onLeft called when a socket is gone that never had a connection
   */
  constructor(
    proxies: Serving["proxies"],
    admission: Admission,
    handshake: () => HandshakeFactory,
    onLeft: () => void,
  ) {
    this.#proxies = proxies;
    this.#admission = admission;
    this.#handshake = handshake;
    this.#onLeft = onLeft;
  }

  /** Loads the reader of PROXY headers, if proxies are trusted. Call it before the first `accept`. */
  async loadProxyReader(): Promise<void> {
    const { proxyReader } = await loadPart("headers of proxies", () => import("./proxyReader.ts"));
    this.#proxyReader = proxyReader;
  }

  get count(): number {
    return this.#sockets.size;
  }

  keepAlive(on: boolean): void {
    this.#keepsAlive = on;
    for (const socket of this.#sockets) socket.transport.keepAlive?.(on);
  }

  /** Its time counts as that of handshakes: who connects has proven nothing. */
  accept(transport: Transport): TransportEvents {
    let events!: TransportEvents;
    this.#admission.turns.run(() => {
      events = this.#accept(transport);
    });
    return events;
  }

  #accept(transport: Transport): TransportEvents {
    const { remoteAddress } = transport;
    const share = this.#admission.shareOf(addressGroup(remoteAddress));
    const isProxy = this.#proxies?.includes(remoteAddress) ?? false;
    const socket = new AcceptedSocket(this, transport, share, isProxy ? this.#proxyReader : undefined);
    this.#sockets.add(socket);
    if (!this.#keepsAlive) transport.keepAlive?.(false);
    if (this.#admission.arrived(socket)) transport.resume();
    return socket;
  }

  /** The socket's handshake begins: it gets a connection. */
  admitted(socket: AcceptedSocket): void {
    this.#sockets.delete(socket);
  }

  /** Drops all sockets; none is admitted any more. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.drop();
  }

  // ---- SocketOwner --------------------------------------------------------------------------------------

  firstMessageBytes(received: Uint8Array): number {
    try {
      return this.#handshake().firstMessageBytes?.(received) ?? 1;
    } catch {
      return 0; // the application's factory threw: its handshake will report the error
    }
  }

  get mostSurplusBytes(): number {
    try {
      if (this.#handshake().firstMessageBytes !== undefined) return MAX_SURPLUS_BYTES;
    } catch {
      // The application's factory threw: its handshake will report the error.
    }
    return Number.POSITIVE_INFINITY;
  }

  spoke(socket: AcceptedSocket): void {
    this.#admission.spoke(socket);
  }

  addressTold(socket: AcceptedSocket, address: string): boolean {
    return this.#admission.moved(socket, addressGroup(address));
  }

  headerRefused(): void {
    this.badProxyHeaders++;
  }

  left(socket: AcceptedSocket): void {
    if (socket.stage === "silent" && !socket.heard) this.probes++;
    this.#sockets.delete(socket);
    this.#admission.left(socket);
    this.#onLeft();
  }
}
