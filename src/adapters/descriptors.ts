// This file keeps a listener working when the process has no free file descriptor. The kernel keeps announcing the
// waiting connection, so an event loop that can't accept it would spin.

import { CallbackDeadline } from "../rpc/deadline.ts";
import { timers } from "../rpc/timers.ts";
import { nodeModule } from "./nodeModules.ts";

/** Deno pauses accepting for this time. A guard without its reserve tries this often to get it back. */
export const ACCEPT_PAUSE_MS = 100;
/** A file that can always be opened. */
const DEV_NULL = process.platform === "win32" ? "\\\\.\\nul" : "/dev/null";
/** How often a guard checks whether other code took the last descriptor. */
const CHECK_MS = 4_000;

function openDescriptor(): number | undefined {
  try {
    return nodeModule("fs").openSync(DEV_NULL, "r");
  } catch {
    return undefined;
  }
}

function oneIsFree(): boolean {
  const descriptor = openDescriptor();
  if (descriptor === undefined) return false;
  nodeModule("fs").closeSync(descriptor);
  return true;
}

/**
 * Keeps a listener from spinning. A connection without a descriptor is accepted and closed at once. libuv
 * does the same in Node, with a reserved descriptor.
 *
 * "untold": the runtime does not report that accepting failed (Bun). The guard keeps one descriptor free
 * whenever a connection is accepted. If other code in the process took the last descriptor, the guard notices
 * within CHECK_MS and gives up its reserve, so that waiting connections are accepted and closed.
 *
 * "told": the listener calls `failed` when accepting failed (Node, whose libuv can lose its own reserve).
 */
export class DescriptorGuard {
  readonly #untold: boolean;
  #reserve = openDescriptor();
  readonly #check = new CallbackDeadline(() => this.#look());
  /** Counts connections that were turned away, and failures to accept. */
  failures = 0;

  constructor(mode: "told" | "untold") {
    this.#untold = mode === "untold";
    // The listener itself keeps the process alive, or does not.
    this.#check.quiet = true;
    if (this.#untold) timers.arm(this.#check, CHECK_MS);
  }

  /** Called for an accepted connection. False: the caller has to close it at once. */
  admits(): boolean {
    this.#reserve ??= openDescriptor();
    if (this.#reserve !== undefined && (!this.#untold || oneIsFree())) return true;
    this.failures++;
    return false;
  }

  /** Called when accepting failed. */
  failed(): void {
    this.failures++;
    this.#giveUpReserve();
  }

  close(): void {
    timers.cancel(this.#check);
    this.#giveUpReserve();
  }

  #look(): void {
    this.#reserve ??= openDescriptor();
    if (!oneIsFree()) this.failed();
    timers.arm(this.#check, this.#reserve === undefined ? ACCEPT_PAUSE_MS : CHECK_MS);
  }

  #giveUpReserve(): void {
    if (this.#reserve !== undefined) nodeModule("fs").closeSync(this.#reserve);
    this.#reserve = undefined;
  }
}
