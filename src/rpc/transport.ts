// The interface between RPC and sockets. Adapters implement it; nothing in rpc/ imports an adapter.
//
// All callbacks (events, accept, defer, yieldToEventLoop) run in the asynchronous context in which the library was
// loaded (core/eventLoop.ts). They never run in the context of the call that happened to dial, write or close.

/** Where to connect to or listen on: TCP, or a Unix socket. */
export type Address =
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined }
  | { readonly host: string; readonly port: number; readonly path?: undefined };

/** Where a server listens. */
export type ListenAddress =
  | (Address & { readonly fd?: undefined; readonly reusePort?: boolean })
  | {
      /** A listening socket (TCP or Unix) that the process inherited. */
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
   * Writes all of `bytes`; one write at a time. True: the kernel has them. False: `onWritten` follows when it has them,
   * or `onClose` if it never will.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Bytes of the pending write that the kernel has not taken; 0 without a pending write. If this value falls between
   * two calls, the peer is slow, not dead.
   *
   * A kernel takes bytes only when it has room. Linux reports room when a third of its send buffer (up to 4 MiB) is
   * free, and Node and Deno write only then. So with full buffers a steady reader shows progress once per 1.4 MB. Bun
   * writes whenever this is called, and sees every packet that the peer acknowledges. The emulations of node:net on
   * other runtimes show progress only in whole writes.
   */
  unwrittenBytes(): number;
  pause(): void;
  resume(): void;
  /** Sends the end of the stream after all written bytes. Reading goes on. */
  end(): void;
  /** Whether the socket keeps the process alive; a new socket does. Optional: without it nothing changes. */
  keepAlive?(on: boolean): void;
  /** Closes at once; unsent bytes are lost. `onClose` follows in a later turn, if it was not called yet. */
  destroy(): void;
}

/** The events that a socket reports to its connection. Never called from inside a `Transport` method. */
export interface TransportEvents {
  /** `length` bytes are in linear memory at RECEIVE_BUFFER; they are valid during the call. */
  onReceiveBuffer(length: number): void;
  /**
   * The bytes are outside of RECEIVE_BUFFER, valid during the call. `polled`: the event loop has polled its sockets since
   * the last read of this one. Otherwise nothing is known about that.
   */
  onData(bytes: Uint8Array, polled?: boolean): void;
  /** The pending write is complete. */
  onWritten(): void;
  /** The peer sent the end of its stream. */
  onEnd(): void;
  /**
   * The socket is gone and uses no memory of this library. Called exactly once, as the last event. `error` is the
   * runtime's.
   */
  onClose(error?: unknown): void;
}

/**
 * The events of a socket that this side dials. The first event is `onConnected`; if the dial fails it is `onClose` with
 * an ERR_DIAL_FAILED that names the address and the runtime's reason.
 */
export interface DialEvents extends TransportEvents {
  onConnected(transport: Transport): void;
}

export interface Listener {
  /** The real port (also if 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /**
   * How often accepting failed, or a connection was turned away at once, because the process had no file descriptor
   * left. Node's libuv turns connections away without a report, so in Node this stays 0.
   */
  readonly acceptFailures: number;
  /** Whether listening keeps the process alive; at first it does. */
  keepAlive?(on: boolean): void;
  /** Stops accepting. Accepted sockets stay open. */
  close(): Promise<void>;
}

/** An SRV record (RFC 2782) in the form of `resolveSrv` of node:dns. */
export interface ServiceRecord {
  /** The host: a name, or an IP address. */
  readonly name: string;
  /** 1 to 65,535. */
  readonly port: number;
  /** 0 to 65,535: the records with the lowest number are used as long as one of them works. */
  readonly priority: number;
  /** 0 to 65,535: the share of calls among the records of the same priority. */
  readonly weight: number;
}

/** The features of a runtime's sockets. */
export interface Adapter {
  /** "node", "bun" or "deno". */
  readonly name: string;
  /** Starts to dial. The returned function cancels; then `onClose` follows if `onConnected` was not called. */
  dial(address: Address, events: DialEvents): () => void;
  /**
   * Rejects with ERR_LISTEN_FAILED if the address can't be bound; `cause` is the runtime's error. Rejects with
   * ERR_UNSUPPORTED if `reusePort` is asked for and this runtime or system can't share ports.
   */
  listen(address: ListenAddress, accept: (transport: Transport) => TransportEvents): Promise<Listener>;
  /**
   * All addresses of a name, IPv4 and IPv6 in text form, in the order in which the system would try them. Without this
   * member names can't be resolved.
   */
  resolve?(host: string): Promise<string[]>;
  /** The SRV records of a name. Without this member they can't be looked up. */
  resolveService?(name: string): Promise<ServiceRecord[]>;
  /** Runs `callback` when the current turn ends: after the promise reactions that are already due. */
  defer(callback: () => void): void;
  /**
   * Runs `callback` after the runtime has polled its sockets once and due timers ran: bytes that were in the kernel at
   * the time of this call have been delivered. For work that would otherwise keep the event loop in one turn. It is
   * much slower in Deno than in Node and Bun.
   */
  yieldToEventLoop(callback: () => void): void;
  /**
   * The same for turns of work that follow each other: a poll is likely before each, and certain before each few. Optional:
   * without it, `yieldToEventLoop` is called.
   */
  takeTurns?(callback: () => void): void;
}
