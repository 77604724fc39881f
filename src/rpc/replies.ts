// Replies with which the rest of a bundle begins: a loop of its own, for the reason in messageRuns.ts. `Inbox` does the
// same for any end of a request, step by step.

import { SealwireError } from "../base/errors.ts";
import { readU32, viewOf } from "../core/bytes.ts";
import { keepBody } from "../protocol/bodies.ts";
import { KIND_HEADER_BYTES, Kind, LENGTH_BYTES, RECORD_FRONT_BYTES } from "../protocol/wire.ts";
import type { PendingRequest } from "./pendingRequest.ts";
import type { RequestTable } from "./requests.ts";

/**
 * Records [start, end) of a bundle, see `RecordHandler.run`. Returns the index of the first record that is no reply to a
 * plain request whose caller waits, or does not fit into the bundle.
 */
export function takeReplies(
  requests: RequestTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  more: number,
): number {
  let record = start;
  while (end - record >= RECORD_FRONT_BYTES) {
    const bodyStart = record + RECORD_FRONT_BYTES;
    if (bytes[bodyStart - 1] !== Kind.reply) break;
    const length = readU32(bytes, record) - KIND_HEADER_BYTES;
    const rest = end - bodyStart - length;
    if (length < 0 || rest < 0) break;
    const request = requests.find(readU32(bytes, record + LENGTH_BYTES));
    if (!request?.takesReply) break;
    const body = keepBody(bytes, bodyStart, bodyStart + length, rest + more);
    requests.remove(request);
    request.resolve(body);
    record = bodyStart + length;
  }
  return record;
}

/** The answer goes into the caller's own buffer. */
export function fillBuffer(request: PendingRequest, bytes: Uint8Array, start: number, end: number): void {
  const into = request.into!;
  if (end - start > into.length) {
    const text = `the answer has ${end - start} bytes, the caller's buffer ${into.length}`;
    request.reject(new SealwireError("ERR_MESSAGE_TOO_LARGE", text));
    return;
  }
  // The caller may have transferred the buffer. Then it is empty, and only an empty answer fits.
  const target = viewOf(into, 0, end - start);
  target.set(viewOf(bytes, start, end));
  request.resolve(target);
}
