// Tells parts of this package that a connection is over. They are told last, because what they do may run code of the
// application.

const waiting = new WeakMap<object, Set<() => void>>();

/** Calls `tell` once, when the connection takes and gives nothing any more. It must not throw. */
export function whenEnded(connection: object, tell: () => void): void {
  const set = waiting.get(connection) ?? new Set();
  waiting.set(connection, set.add(tell));
}

/** The connection is over. */
export function tellEnded(connection: object): void {
  const set = waiting.get(connection);
  if (set === undefined) return;
  waiting.delete(connection);
  for (const tell of set) tell();
}
