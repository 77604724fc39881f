// Listens to the callers' AbortSignals with one listener per signal, however many requests share it. Node warns of a leak
// from the eleventh listener on, and many applications have one signal for everything they do.

/** Something that ends when a signal aborts. */
export interface AbortWatcher {
  /** Called once, from inside the signal's `abort` event, with the signal's reason. Must not throw. */
  aborted(reason: unknown): void;
}

class SignalListener {
  readonly #signal: AbortSignal;
  readonly watchers = new Set<AbortWatcher>();
  hasAborted = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** The listener is the object itself, so that no closure is made. */
  handleEvent(): void {
    this.hasAborted = true;
    // Iterates over a copy, because watchers that end remove themselves meanwhile.
    const reason = reasonOf(this.#signal);
    for (const watcher of [...this.watchers]) watcher.aborted(reason);
  }
}

/** Why it aborted. A signal that is not the runtime's may throw at the question, and then that is the reason. */
export function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}

/** For code that must not throw: a signal that throws at the question ends its call, too. */
export function hasAborted(signal: AbortSignal | undefined): boolean {
  try {
    return signal?.aborted ?? false;
  } catch {
    return true;
  }
}

const listeners = new WeakMap<AbortSignal, SignalListener>();

/**
 * Tells `watcher` when `signal` aborts, until `unwatchSignal`. True if it has aborted by now: then nothing is watched.
 * Asking a signal that is not the runtime's may run code of the application, which aborts it.
 */
export function watchSignal(signal: AbortSignal, watcher: AbortWatcher): boolean {
  let listener = listeners.get(signal);
  if (listener === undefined) {
    listener = new SignalListener(signal);
    listeners.set(signal, listener);
    try {
      signal.addEventListener("abort", listener);
    } catch (error) {
      // Otherwise later watchers would wait for what nobody tells.
      listeners.delete(signal);
      throw error;
    }
  }
  // The question itself may abort it.
  if (signal.aborted || listener.hasAborted) {
    forget(signal, listener);
    return true;
  }
  listener.watchers.add(watcher);
  return false;
}

/** Removes a listener that nobody needs. */
function forget(signal: AbortSignal, listener: SignalListener): void {
  if (listener.watchers.size > 0) return;
  listeners.delete(signal);
  try {
    signal.removeEventListener("abort", listener);
  } catch {
    // A signal that is not the runtime's. Its listener tells nobody any more, and the call that ends must settle.
  }
}

/** The signal no longer references the watcher. After the last watcher, the listener is removed, too. */
export function unwatchSignal(signal: AbortSignal, watcher: AbortWatcher): void {
  const listener = listeners.get(signal);
  if (listener?.watchers.delete(watcher)) forget(signal, listener);
}
