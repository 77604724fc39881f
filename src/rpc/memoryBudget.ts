// Limits the unsent bytes of all connections of the process together and of each one. A connection with more unsent
// bytes than are still free is stopped: it takes no more calls, and handles no more messages. So the connections with
// the most unsent bytes are stopped first, one alone may use half of the budget, and some bytes are always free for
// connections with few (Choudhury and Hahne's dynamic thresholds, 1998).

import { invalidArgument } from "../base/errors.ts";
import { checkOptionNames } from "../base/options.ts";

/** Limits of the whole process. */
export interface ProcessLimits {
  /** The most unsent bytes of all connections together. Default 256 MiB. */
  maxPendingBytes?: number;
}

/**
 * What an item or a message that waits as an object takes beside its bytes: the object, the array of its bytes, and the
 * promise of whoever may await it. 550 to 750 bytes were measured in the four runtimes, 280 without the promise.
 */
export const WAITING_OBJECT_BYTES = 512;

const DEFAULT_MAX_PENDING_BYTES = 268_435_456;
const LEAST_MAX_PENDING_BYTES = 1_048_576;

class MemoryBudget {
  limit = DEFAULT_MAX_PENDING_BYTES;
  /** The unsent bytes now. Connections add and subtract theirs. */
  used = 0;

  /** The most unsent bytes of one connection now, in addition to a single message. */
  get free(): number {
    return this.limit - this.used;
  }

  /** Whether a connection with this many unsent bytes exceeds its part. A connection without any never does. */
  isExceededBy(pendingBytes: number): boolean {
    return pendingBytes > 0 && pendingBytes > this.free;
  }
}

/** The process's budget. */
export const memoryBudget = new MemoryBudget();

/**
 * Sets limits of the whole process, for all clients and servers in it. They hold from this call on.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the limit
 */
export function setProcessLimits(limits: ProcessLimits): void {
  if (typeof limits !== "object" || limits === null) throw invalidArgument("limits", "an object");
  checkOptionNames(limits, ["maxPendingBytes"]);
  const { maxPendingBytes = DEFAULT_MAX_PENDING_BYTES } = limits;
  if (!Number.isSafeInteger(maxPendingBytes) || maxPendingBytes < LEAST_MAX_PENDING_BYTES) {
    throw invalidArgument("maxPendingBytes", `an integer of at least ${LEAST_MAX_PENDING_BYTES}`);
  }
  memoryBudget.limit = maxPendingBytes;
}
