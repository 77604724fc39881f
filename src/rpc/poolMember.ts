// What a client's pool notes about one of its connections (connectionPool.ts).

import type { SealwireError } from "../base/errors.ts";
import type { Connection } from "./peer.ts";
import type { CallbackDeadline } from "./timers.ts";

/** Somebody who waits for a connection that is open. */
export interface Waiter {
  resolve(connection: Connection): void;
  reject(error: SealwireError): void;
}

/** The notes about a connection. Times are those of performance.now(); -1: not yet. */
export class Member {
  dialledAt = -1;
  openedAt = -1;
  dialDeadline: CallbackDeadline | undefined;
  /** The pause before the next dial has taken its failure into account. */
  judged = false;
  /** Why it ended. */
  error: SealwireError | undefined;
}
