// This file keeps a listener working when the process has no free file descriptor. The kernel keeps announcing the
// waiting connection, so an event loop that can't accept it would spin.

import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { CallbackDeadline, timers } from "../rpc/timers.ts";

/** Deno pauses for so long; a guard without its reserve tries so often to get it back. */
export const ACCEPT_PAUSE_MS = 100;
/** How often a guard looks whether somebody else took the last descriptor. */
const CHECK_MS = 4_000;

function openDescriptor(): number | undefined {
  try {
    return openSync(devNull, "r");
  } catch {
    return undefined;
  }
}

function oneIsFree(): boolean {
  const descriptor = openDescriptor();
  if (descriptor === undefined) return false;
  closeSync(descriptor);
  return true;
}

/**
 * Keeps a listener from spinning: a connection that can't be kept is accepted and closed at once, as libuv does it
 * in Node with a descriptor of its own in reserve.
 *
 * "untold": the runtime tells nobody that accepting failed (Bun). The guard sees to it that a descriptor stays free
 * whenever a connection is accepted. When something else in the process took the last one, that is found within
 * CHECK_MS, and the reserve is given up, so that those who wait are accepted, and closed.
 *
 * "told": the listener calls `failed` when accepting failed (Node, whose libuv can lose its own reserve).
 */
export class DescriptorGuard {
  readonly #untold: boolean;
  #reserve = openDescriptor();
  readonly #check = new CallbackDeadline(() => this.#look());
  /** Connections turned away, and times that none could be accepted. */
  failures = 0;

  constructor(mode: "told" | "untold") {
    this.#untold = mode === "untold";
    // The listener itself keeps the process alive, or does not.
    this.#check.quiet = true;
    if (this.#untold) timers.arm(this.#check, CHECK_MS);
  }

  /** A connection was accepted; false: it has to be closed at once. */
  admits(): boolean {
    this.#reserve ??= openDescriptor();
    if (this.#reserve !== undefined && (!this.#untold || oneIsFree())) return true;
    this.failures++;
    return false;
  }

  /** None could be accepted. */
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
    if (this.#reserve !== undefined) closeSync(this.#reserve);
    this.#reserve = undefined;
  }
}
