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
  /** The client or server is closed: wipes what its options made. */
  readonly wipeKeys: () => void;
  /** What a client dialled, as text; undefined on a server. */
  readonly dialledAddress: string | undefined;
  readonly engine: Engine;
  readonly onMessage: MessageHandler | undefined;
  /** Bodies as views of memory that is used again, instead of copies. */
  readonly bodyViews: boolean;
  readonly onHandlerError: (error: unknown, message: Message) => void;
  /** Handlers of all its connections, also of those that are gone. */
  readonly handlerBudget: HandlerBudget;
  /** Sending at the end of a turn. Runs nothing of the application. */
  readonly flushes: TurnQueue;
  /** Going on with reading, and telling the application, at the end of a turn. */
  readonly resumptions: TurnQueue;
  /** Going on with handlers after a whole turn of them. */
  readonly rounds: RoundRobin;
}

/** What a client or server wants to know of its connections. Not the application: that is told later. */
export interface ConnectionObserver<Observed> {
  /** The socket is connected; the handshake begins. */
  onSocket(connection: Observed): void;
  /** The peer is proven, as far as the protocol proves it; messages follow. Never inside a call of the application. */
  onOpen(connection: Observed): void;
  onDraining(connection: Observed): void;
  /** It takes and gives nothing any more. `error`: why, unless it ended in good order. */
  onClosed(connection: Observed, error: SealwireError | undefined): void;
  /** Tells the application of a state, behind `onDraining` or `onClosed`. Never inside a call of the application. */
  tell(connection: Observed, state: ToldState, error: SealwireError | undefined): void;
  /** Its socket is gone, too. Always after `onClosed`. */
  onGone(connection: Observed): void;
}
