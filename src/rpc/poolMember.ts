// What a client's pool notes about one of its connections (connectionPool.ts).

import type { SealwireError } from "../base/errors.ts";
import type { RpcConnection } from "./connection.ts";
import { CallbackDeadline } from "./deadline.ts";
import type { Connection } from "./peer.ts";
import { USEFUL_LIFE_MS } from "./redial.ts";
import { timers } from "./timers.ts";

/** Somebody who waits for a connection that is open. */
export interface Waiter {
  resolve(connection: Connection): void;
  reject(error: SealwireError): void;
}

/** The notes about a connection. Times are those of the monotonic clock; -1: not yet. */
export class Member {
  dialledAt = -1;
  openedAt = -1;
  #dialDeadline: CallbackDeadline | undefined;
  /** The pause before the next dial has taken its failure into account. */
  judged = false;
  /** Why it ended. */
  error: SealwireError | undefined;

  /** @param timeoutMs after which `onTimeout` is called, unless the dial has ended; 0: never */
  dialled(at: number, timeoutMs: number, onTimeout: () => void): void {
    this.dialledAt = at;
    if (timeoutMs === 0) return;
    this.#dialDeadline = new CallbackDeadline(onTimeout);
    timers.arm(this.#dialDeadline, timeoutMs);
  }

  /** Its socket is connected, or never will be. */
  dialEnded(): void {
    if (this.#dialDeadline !== undefined) timers.cancel(this.#dialDeadline);
  }

  wasUseful(connection: RpcConnection, now: number): boolean {
    return connection.answered || (this.openedAt >= 0 && now - this.openedAt >= USEFUL_LIFE_MS);
  }
}
