// Keeps a listener that closes from removing what others bound. Every runtime removes the path of a Unix socket by its
// name: Node and Bun inside of the call that closes the listener, Deno before the accept under way fails. Another server
// may have that name by then, for example if a deployment starts the new server first.

import { nodeModule } from "./nodeModules.ts";

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

/** Does nothing if the system does not allow it. */
function move(from: string, to: string): void {
  try {
    nodeModule("fs").renameSync(from, to);
  } catch {}
}

/**
 * To be called when a listener has bound this path. The result closes the listener with `close`, behind which the runtime
 * has removed the path. If another file has the path by then, that file has another name meanwhile.
 */
export function closingOwnPath(path: string | undefined, close: () => void | Promise<void>): typeof close {
  const own = path && numbered(path);
  if (!path || !own) return close;
  return async () => {
    const aside = numbered(path);
    const isOther = aside && aside !== own;
    if (isOther) move(path, aside);
    await close();
    if (isOther) move(aside, path);
  };
}
