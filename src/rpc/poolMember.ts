// What a client's pool notes about one of its connections (connectionPool.ts).

import type { CallbackDeadline } from "./timers.ts";

/** The notes about a connection. Times are those of performance.now(); -1: not yet. */
export class Member {
  dialledAt = -1;
  openedAt = -1;
  dialDeadline: CallbackDeadline | undefined;
  /** The pause before the next dial has taken its failure into account. */
  judged = false;
}
