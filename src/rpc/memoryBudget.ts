// Limits how many bytes all connections of the process hold for peers that have not taken them, and how many one
// connection may hold. A connection that holds more than is still free is stopped: it takes no more calls, and nothing
// is read from it. So those that hold the most are stopped first, one alone may hold half of the budget, and something
// is always left for those that hold little (Choudhury and Hahne's dynamic thresholds, 1998).

import { invalidArgument } from "../base/errors.ts";

/** Limits of the whole process. */
export interface ProcessLimits {
  /** Bytes that all connections together hold for peers that have not taken them. Default 256 MiB. */
  maxPendingBytes?: number;
}

const DEFAULT_MAX_PENDING_BYTES = 268_435_456;
const LEAST_MAX_PENDING_BYTES = 1_048_576;

class MemoryBudget {
  limit = DEFAULT_MAX_PENDING_BYTES;
  /** What is held now. Connections add and subtract what they hold. */
  used = 0;

  /** What one connection may hold now beyond a single message. */
  get free(): number {
    return this.limit - this.used;
  }

  /** One connection that holds so much holds more than it may. Whoever holds nothing always has room. */
  isExceededBy(pendingBytes: number): boolean {
    return pendingBytes > 0 && pendingBytes > this.free;
  }
}

/** The process's budget. */
export const memoryBudget = new MemoryBudget();

/**
 * Sets limits of the whole process, for all clients and servers in it. They hold from now on.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the limit
 */
export function setProcessLimits(limits: ProcessLimits): void {
  if (typeof limits !== "object" || limits === null) throw invalidArgument("limits", "an object");
  for (const name of Object.keys(limits)) {
    if (name !== "maxPendingBytes") throw invalidArgument(`limit ${JSON.stringify(name)}`, "maxPendingBytes");
  }
  const { maxPendingBytes = DEFAULT_MAX_PENDING_BYTES } = limits;
  if (!Number.isSafeInteger(maxPendingBytes) || maxPendingBytes < LEAST_MAX_PENDING_BYTES) {
    throw invalidArgument("maxPendingBytes", `an integer of at least ${LEAST_MAX_PENDING_BYTES}`);
  }
  memoryBudget.limit = maxPendingBytes;
}
