// The seam between RPC and sockets. Adapters implement it; nothing in rpc/ imports an adapter.
//
// All callbacks (events, accept, defer, yieldToEventLoop) run in the asynchronous context in which the library was
// loaded (core/eventLoop.ts), never in that of the request of the application that happened to dial, write or close.

/** Where to connect to or listen on: TCP, or a Unix socket. */
export type Address =
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined }
  | { readonly host: string; readonly port: number; readonly path?: undefined };

/** Where a server listens. */
export type ListenAddress =
  | (Address & { readonly fd?: undefined; readonly reusePort?: boolean })
  | {
      /** A listening socket that the process inherited, of TCP or a Unix socket. */
      readonly fd: number;
      readonly path?: undefined;
      readonly host?: undefined;
      readonly port?: undefined;
      readonly reusePort?: undefined;
    };

/**
 * One socket. It is created paused: nothing is read before the first `resume`.
 *
 * Ownership: the bytes given to `write` belong to the socket until `write` returned true, or `onWritten` or
 * `onClose` was called. They may be a view of linear memory.
 */
export interface Transport {
  /** The peer's address in text form; empty where there is none (Unix sockets). */
  readonly remoteAddress: string;
  /**
   * Writes all of `bytes`. One write at a time. True: the kernel has them. False: `onWritten` will say when, or
   * `onClose` that it never will.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Bytes of the pending write that the kernel has not taken; 0 without one. When this falls between two calls, the
   * peer is slow, not dead.
   *
   * A kernel takes more only when it has room. Linux says so when a third of its send buffer (up to 4 MiB) is free,
   * and Node and Deno write only then: with full buffers, a peer that reads steadily shows once per 1.4 MB. Bun writes
   * whenever this is called, and sees every packet that the peer acknowledged. In Node on other runtimes, whole
   * writes are seen.
   */
  unwrittenBytes(): number;
  pause(): void;
  resume(): void;
  /** Sends the end of the stream after what was written; reading goes on. */
  end(): void;
  /**
   * Whether the socket keeps the process alive; a new one does. Where this is missing, nothing is changed.
   */
  keepAlive?(on: boolean): void;
  /** Closes at once, unsent bytes are lost. `onClose` follows, in a later turn, if it was not called yet. */
  destroy(): void;
}

/** What a socket tells its connection. Never called from inside a `Transport` method. */
export interface TransportEvents {
  /** `length` bytes are in linear memory at RECEIVE_BUFFER; they are valid during the call. */
  onReceiveBuffer(length: number): void;
  /** Bytes somewhere else, valid during the call. */
  onData(bytes: Uint8Array): void;
  /** The pending write is complete. */
  onWritten(): void;
  /** The peer sent the end of its stream. */
  onEnd(): void;
  /** The socket is gone and holds no memory of ours. Exactly once, last. `error` as the runtime gave it. */
  onClose(error?: unknown): void;
}

/**
 * Events of a socket that this side dials: first `onConnected`, or `onClose` when it fails, with an ERR_DIAL_FAILED that
 * names the address and the runtime's reason.
 */
export interface DialEvents extends TransportEvents {
  onConnected(transport: Transport): void;
}

export interface Listener {
  /** The real port (also when 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /**
   * How often no connection could be accepted, or one was turned away at once, because the process had no file
   * descriptor left. Node's kernel library turns connections away itself and tells nobody: there it stays 0.
   */
  readonly acceptFailures: number;
  /** Whether listening keeps the process alive; it does from the beginning. */
  keepAlive?(on: boolean): void;
  /** Stops accepting. Sockets that were accepted live on. */
  close(): Promise<void>;
}

/** An SRV record (RFC 2782), as `resolveSrv` of node:dns gives it. */
export interface ServiceRecord {
  /** The host: a name, or an IP address. */
  readonly name: string;
  /** 1 to 65,535. */
  readonly port: number;
  /** 0 to 65,535: those with the lowest number are used as long as one of them works. */
  readonly priority: number;
  /** 0 to 65,535: the share of the calls that it gets among those of its priority. */
  readonly weight: number;
}

/** What a runtime offers. */
export interface Adapter {
  /** "node", "bun" or "deno". */
  readonly name: string;
  /** Starts to dial. The returned function gives up; `onClose` then follows if `onConnected` was not called. */
  dial(address: Address, events: DialEvents): () => void;
  /**
   * Rejects with ERR_LISTEN_FAILED, `cause` the runtime's error, when the address can't be bound; with ERR_UNSUPPORTED
   * where `reusePort` is asked for and this runtime or system can't.
   */
  listen(address: ListenAddress, accept: (transport: Transport) => TransportEvents): Promise<Listener>;
  /**
   * All addresses of a name, IPv4 and IPv6 in text form, those that the system would try first in front. Left out:
   * names can't be resolved.
   */
  resolve?(host: string): Promise<string[]>;
  /** The SRV records of a name. Left out: they can't be looked up. */
  resolveService?(name: string): Promise<ServiceRecord[]>;
  /** Runs `callback` when the current turn ends: after the promise reactions that are already due. */
  defer(callback: () => void): void;
  /**
   * Runs `callback` after the runtime has polled its sockets once, and due timers ran: what lay in the kernel when
   * this was called has been handed out. For work that would otherwise keep the event loop in one turn. Takes 2–8 µs
   * in Node and Bun, 1–2 ms in Deno.
   */
  yieldToEventLoop(callback: () => void): void;
}
