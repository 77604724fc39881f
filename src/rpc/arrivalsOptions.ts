// What concerns the messages, requests and calls of a peer (arrivals.ts).

import type { ResolvedLimits } from "../base/options.ts";
import type { HandlersOptions } from "./handlers.ts";

export interface ArrivalsOptions extends HandlersOptions {
  /** Bodies are views of memory that is reused, instead of copies. */
  readonly bodyViews: boolean;
  readonly limits: ResolvedLimits;
}
