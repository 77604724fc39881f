// Options of a call that waits, or that may be made again. Its caller may change the object, or the head in it, as soon
// as the call has returned.

import { PreparedHead } from "../protocol/preparedHead.ts";
import { checkCallOptions, requireOptions } from "./callOptions.ts";
import type { CallOptions, RequestOptions, SendOptions } from "./peer.ts";

/**
 * The options of a request, call or send as they are now, each read once, also those that the object inherits.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option
 */
export function keptOptions<Options extends RequestOptions | CallOptions | SendOptions>(
  options: Options,
  known: readonly string[],
): Options {
  requireOptions(options, known);
  const { signal, timeoutMs, into, head, streams } = options as RequestOptions & CallOptions;
  checkCallOptions(signal, timeoutMs, into, head, streams);
  const copy = head === undefined || head instanceof PreparedHead ? head : new PreparedHead(head);
  const kept: RequestOptions & CallOptions = { signal, timeoutMs, into, head: copy, streams };
  return kept as Options;
}
