// Keeps a listener that closes from removing what others bound. Every runtime removes the path of a Unix socket by its
// name: Node and Bun inside of the call that closes the listener, Deno before the accept under way fails. Another server
// may have that name by then, for example if a deployment starts the new server first.

import { isAllowed } from "../base/denoPermission.ts";
import { nodeModule } from "./nodeModules.ts";

/** The listener that closes now, in Deno. In Node and Bun that is over at once. */
let closing: Promise<void> | undefined;

/**
 * The path with numbers that belong to the file there alone. While a socket is bound to a file, no other file gets its
 * numbers, even if it was removed.
 */
function numbered(path: string): string | undefined {
  try {
    const { dev, ino } = nodeModule("fs").lstatSync(path, { bigint: true });
    return `${path}.${dev}.${ino}`;
  } catch {
    return undefined;
  }
}

/** Does nothing if the system or Deno does not allow it. */
function move(from: string, to: string): void {
  if (![from, to].every((path) => isAllowed({ name: "write", path }))) return;
  try {
    nodeModule("fs").renameSync(from, to);
  } catch {}
}

/**
 * To be called when a listener has bound this path. The result closes the listener with `close`, behind which the runtime
 * has removed the path. If another file has the path by then, that file has another name meanwhile. If `close` is over at
 * once, so is all of this, and nothing is lost in a process that exits then.
 */
export function closingOwnPath(path: string | undefined, close: () => void | Promise<void>): typeof close {
  const own = path && numbered(path);
  if (!path || !own) return close;
  return async () => {
    // One after the other: this file may have another name now, because the listener that had the path before it closes.
    while (closing) await closing.catch(() => {});
    const aside = numbered(path);
    const isOther = aside && aside !== own;
    if (isOther) move(path, aside);
    try {
      const closed = close();
      if (closed instanceof Promise) {
        closing = closed;
        await closed;
      }
    } finally {
      closing = undefined;
      if (isOther) move(aside, path);
    }
  };
}
