// connected() with a deadline: until it passes, each failed attempt is followed by another.

import { SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import { CallbackDeadline } from "./deadline.ts";
import type { Connection } from "./peer.ts";
import { timers } from "./timers.ts";

/**
 * Between two attempts. An attempt has pauses of its own unless it was refused at once, for example because too many calls
 * wait. Attempts without a pause would keep the event loop from what they wait for.
 */
const PAUSE_MS = 20;

/** Options of `Client.connected`. */
export interface ConnectedOptions {
  /**
   * Failed attempts are repeated for this time. Then it rejects with ERR_DIAL_TIMEOUT, whose `cause` is the last
   * failure. Without this option it rejects with the first failure.
   */
  timeoutMs?: number;
}

/**
 * @param attempt dials; rejects with ERR_CLOSED if it can't dial any more
 * @throws SealwireError ERR_INVALID_ARGUMENT
 */
export function connectedWithin(
  attempt: () => Promise<Connection>,
  options: ConnectedOptions | undefined,
): Promise<Connection> {
  if (options === undefined) return attempt();
  checkOptionNames(options, ["timeoutMs"]);
  const { timeoutMs } = options;
  if (timeoutMs === undefined) return attempt();
  integerOption("timeoutMs", timeoutMs, 1, MAX_MS);
  return new Promise((resolve, reject) => {
    let over = false;
    let cause: unknown;
    const pause = new CallbackDeadline(() => tryAgain());
    const deadline = new CallbackDeadline(() => {
      over = true;
      timers.cancel(pause);
      reject(new SealwireError("ERR_DIAL_TIMEOUT", `no connection within ${timeoutMs} ms`, { cause }));
    });
    const end = (): void => {
      over = true;
      timers.cancel(deadline);
    };
    const tryAgain = (): void => {
      attempt().then(
        (connection) => {
          end();
          resolve(connection);
        },
        (error) => {
          cause = error;
          if (over) return;
          if (error?.code !== "ERR_CLOSED") {
            timers.arm(pause, PAUSE_MS);
            return;
          }
          end();
          reject(error);
        },
      );
    };
    timers.arm(deadline, timeoutMs);
    tryAgain();
  });
}
