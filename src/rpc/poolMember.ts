// The notes of a client's pool about one of its connections (connectionPool.ts).

import type { CallbackDeadline } from "./timers.ts";

/** What the pool knows of a connection besides itself. Times are those of performance.now(); -1: not yet. */
export class Member {
  dialledAt = -1;
  openedAt = -1;
  dialDeadline: CallbackDeadline | undefined;
  /** The pause before the next dial has taken its failure into account. */
  judged = false;
}
