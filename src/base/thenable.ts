/**
 * Whether `await` would wait for it: promises of libraries and of other realms are. Asks for `then`, which may be a getter
 * of the application's, and throws what that throws.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
