// The seam between RPC and sockets. Adapters implement it; nothing in rpc/ imports an adapter.
//
// All callbacks (events, accept, defer, yieldToEventLoop) run in the asynchronous context in which the library was
// loaded (core/eventLoop.ts), never in that of the request of the application that happened to dial, write or close.

/** Where to connect to or listen on: TCP, or a Unix socket. */
export type Address =
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined }
  | { readonly host: string; readonly port: number; readonly path?: undefined };

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
  pause(): void;
  resume(): void;
  /** Sends the end of the stream after what was written; reading goes on. */
  end(): void;
  /** Closes at once, unsent bytes are lost. `onClose` follows, in a later turn, if it was not called yet. */
  destroy(): void;
}

/** What a socket tells its connection. Never called from inside a `Transport` method. */
export interface TransportEvents {
  /** `length` bytes are in linear memory at RECEIVE_WINDOW; they are valid during the call. */
  onWindow(length: number): void;
  /** Bytes somewhere else, valid during the call. */
  onData(bytes: Uint8Array): void;
  /** The pending write is complete. */
  onWritten(): void;
  /**
   * The kernel took some more of the pending write, not all of it: the peer is slow, not dead. How fine this is
   * differs: see each adapter. Called at least every PROGRESS_CHECK_MS while there is progress, at most once per poll.
   */
  onProgress?(): void;
  /** The peer sent the end of its stream. */
  onEnd(): void;
  /** The socket is gone and holds no memory of ours. Exactly once, last. `error` as the runtime gave it. */
  onClose(error?: unknown): void;
}

/** Events of a socket that this side dials: first `onOpen`, or `onClose` when it fails. */
export interface DialEvents extends TransportEvents {
  onOpen(transport: Transport): void;
}

export interface Listener {
  /** The real port (also when 0 was asked for); 0 for a Unix socket. */
  readonly port: number;
  /** Stops accepting. Sockets that were accepted live on. */
  close(): Promise<void>;
}

/** What a runtime offers. */
export interface Adapter {
  /** "node", "bun" or "deno". */
  readonly name: string;
  /** Starts to dial. The returned function gives up; `onClose` then follows if `onOpen` was not called. */
  dial(address: Address, events: DialEvents): () => void;
  /** Rejects with the runtime's error when the address can't be bound. */
  listen(address: Address, accept: (transport: Transport) => TransportEvents): Promise<Listener>;
  /** Runs `callback` when the current turn ends: after the promise reactions that are already due. */
  defer(callback: () => void): void;
  /**
   * Runs `callback` after the runtime has polled its sockets once, and due timers ran: what lay in the kernel when
   * this was called has been handed out. For work that would otherwise keep the event loop in one turn. Takes 2–8 µs
   * in Node and Bun, 1–2 ms in Deno.
   */
  yieldToEventLoop(callback: () => void): void;
}
