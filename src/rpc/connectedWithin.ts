// connected() with a deadline: until it passes, a failed attempt is followed by another one.

import { SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import type { Connection } from "./peer.ts";
import { CallbackDeadline, timers } from "./timers.ts";

/** Options of `Client.connected`. */
export interface ConnectedOptions {
  /**
   * Goes on trying for so long, whatever fails meanwhile, and rejects with ERR_DIAL_TIMEOUT, `cause` the last failure.
   * Left out: rejects with the first failure.
   */
  timeoutMs?: number;
}

/**
 * @param attempt dials, with the pauses that keep it from spinning; rejects with ERR_CLOSED when it can't any more
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
    const deadline = new CallbackDeadline(() => {
      over = true;
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
            tryAgain();
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
