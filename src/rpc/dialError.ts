// The error of a failed dial. Its text names the address and the runtime's reason, so that neither is visible in
// `cause` alone.

import { SealwireError } from "../base/errors.ts";

/**
 * The reason in words. Runtimes that try several addresses of a name give one error that contains an error for each.
 */
function reasonText(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const { errors } = reason as { errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return errors.map(reasonText).join("; ");
  const { code } = reason as { code?: unknown };
  if (typeof code !== "string" || reason.message.includes(code)) return reason.message || reason.name;
  return reason.message === "" ? code : `${code}: ${reason.message}`;
}

/**
 * An ERR_DIAL_FAILED that names the address and the reason.
 *
 * @param dialledAddress "host:port" or a path
 * @param reason the runtime's reason, if any; the error's `cause`
 */
export function dialFailed(dialledAddress: string | undefined, reason: unknown): SealwireError {
  const why = reason === undefined ? "" : `: ${reasonText(reason)}`;
  const text = `could not connect to ${dialledAddress ?? "the server"}${why}`;
  return new SealwireError("ERR_DIAL_FAILED", text, { cause: reason });
}
