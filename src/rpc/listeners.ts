// Callbacks that applications give to be told of something: what they throw must not end up in a connection.

/** Calls `listener`, if there is one; what it throws goes to the console, since nobody else is left to tell. */
export function callListener<Arguments extends unknown[]>(
  name: string,
  listener: ((...args: Arguments) => void) | undefined,
  ...args: Arguments
): void {
  try {
    listener?.(...args);
  } catch (error) {
    console.error(`sealwire: ${name} threw`, error);
  }
}
