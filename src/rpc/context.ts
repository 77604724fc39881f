// The objects that all connections of one client or server share, and the events that they report to it.

import type { SealwireError } from "../base/errors.ts";
import type { ResolvedLimits } from "../base/options.ts";
import type { Engine } from "../core/engine.ts";
import type { HandshakeFactory } from "../protocol/handshake.ts";
import type { ToldState } from "./announcements.ts";
import type { HandlerBudget } from "./handlerBudget.ts";
import type { ErrorExposure } from "./handlerErrors.ts";
import type { Message, MessageHandler } from "./peer.ts";
import type { RoundRobin } from "./roundRobin.ts";
import type { TurnQueue } from "./turnQueue.ts";

export interface ConnectionContext extends ErrorExposure {
  readonly limits: ResolvedLimits;
  readonly handshake: HandshakeFactory;
  /** Wipes the keys that the options made, when the client or server is closed. */
  readonly wipeKeys: () => void;
  /** The address that a client dialled, as text; undefined on a server. */
  readonly dialledAddress: string | undefined;
  readonly engine: Engine;
  readonly onMessage: MessageHandler | undefined;
  /** Bodies are views of memory that is reused, instead of copies. */
  readonly bodyViews: boolean;
  readonly onHandlerError: (error: unknown, message: Message) => void;
  /** Counts the handlers of all its connections, including closed ones. */
  readonly handlerBudget: HandlerBudget;
  /** Work that sends at the end of a turn. It runs no code of the application. */
  readonly flushes: TurnQueue;
  /** Work that continues reading, or calls the application, at the end of a turn. */
  readonly resumptions: TurnQueue;
  /** Connections that continue with handlers after a full turn of them. */
  readonly rounds: RoundRobin;
}

/** The reports of connections to their client or server. The application gets its reports later. */
export interface ConnectionObserver<Observed> {
  /** The socket is connected; the handshake begins. */
  onSocket(connection: Observed): void;
  /**
   * The peer is proven, as far as the protocol proves it, and messages follow. Never inside a call of the application.
   */
  onOpen(connection: Observed): void;
  onDraining(connection: Observed): void;
  /** The connection is over. `error` is the reason, unless it ended in good order. */
  onClosed(connection: Observed, error: SealwireError | undefined): void;
  /** Reports a state to the application, after `onDraining` or `onClosed`. Never inside a call of the application. */
  tell(connection: Observed, state: ToldState, error: SealwireError | undefined): void;
  /** The socket of the connection is gone, too. Always after `onClosed`. */
  onGone(connection: Observed): void;
  /** The connection may take another call: a request of this side ended, or fewer bytes wait. */
  onRoom?(): void;
}
