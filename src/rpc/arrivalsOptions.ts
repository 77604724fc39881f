// What concerns the messages, requests and calls of a peer (arrivals.ts).

import type { HandlersOptions } from "./handlers.ts";

export interface ArrivalsOptions extends HandlersOptions {
  /** Bodies are views of memory that is reused, instead of copies. */
  readonly bodyViews: boolean;
  readonly maxConcurrentHandlers: number;
  readonly maxRequests: number;
  readonly maxStreams: number;
  readonly maxDeadlineMs: number;
  readonly maxItemBytes: number;
  readonly maxPendingBytes: number;
}
