// Options of a call that waits, or that may be made again. Its caller may change the object, or the head in it, as soon
// as the call has returned.

import type { CallHead } from "../protocol/head.ts";
import { PreparedHead } from "../protocol/preparedHead.ts";

interface WithHead {
  readonly head?: CallHead | undefined;
}

/** Checked options as they are now. */
export function keptOptions<Options extends object>(options: Options): Options {
  const { head } = options as WithHead;
  if (head === undefined || head instanceof PreparedHead) return { ...options };
  return { ...options, head: new PreparedHead(head) };
}
