// Tells other parts of this package that a connection is over. This happens last, because those parts may run code of
// the application.

const waiting = new WeakMap<object, Set<() => void>>();
const ended = new WeakSet<object>();

/**
 * Calls `tell` once, when the connection is over; if it is over already, within this call. `tell` must not throw.
 *
 * @returns makes it forget `tell`
 */
export function whenEnded(connection: object, tell: () => void): () => void {
  const set = waiting.get(connection) ?? new Set();
  if (ended.has(connection)) tell();
  else waiting.set(connection, set.add(tell));
  return () => set.delete(tell);
}

/** The connection is over. */
export function tellEnded(connection: object): void {
  ended.add(connection);
  const set = waiting.get(connection);
  if (set === undefined) return;
  waiting.delete(connection);
  for (const tell of set) tell();
}
