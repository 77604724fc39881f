/**
 * Whether `await` would wait for the value; promises of libraries and other realms count. Reads `then`, which
 * may be a getter of the application, and throws what that getter throws.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
