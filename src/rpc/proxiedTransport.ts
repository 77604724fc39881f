// A socket that came through a proxy, with the address of the client in place of the proxy's.

import type { Transport } from "./transport.ts";

export class ProxiedTransport implements Transport {
  readonly #transport: Transport;
  readonly remoteAddress: string;

  constructor(transport: Transport, remoteAddress: string) {
    this.#transport = transport;
    this.remoteAddress = remoteAddress;
  }

  write(bytes: Uint8Array): boolean {
    return this.#transport.write(bytes);
  }

  unwrittenBytes(): number {
    return this.#transport.unwrittenBytes();
  }

  pause(): void {
    this.#transport.pause();
  }

  resume(): void {
    this.#transport.resume();
  }

  keepAlive(on: boolean): void {
    this.#transport.keepAlive?.(on);
  }

  end(): void {
    this.#transport.end();
  }

  destroy(): void {
    this.#transport.destroy();
  }
}
