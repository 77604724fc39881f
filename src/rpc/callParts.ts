// The parts that a call of the peer has in addition to a request: its head, its deadline and its streams.

import { MAX_MS } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import type { SharedHead } from "../protocol/preparedHead.ts";
import { IncomingStream } from "./incomingStream.ts";
import { OutgoingStream } from "./outgoingStream.ts";
import type { Streams } from "./streams.ts";
import type { Deadline } from "./timers.ts";

export interface CallParts {
  /** Other messages may share it. */
  readonly head: SharedHead;
  /** By the monotonic clock; undefined: the caller gave no deadline. */
  readonly deadlineAt: number | undefined;
  incoming: IncomingStream | undefined;
  outgoing: OutgoingStream | undefined;
  /** Armed while the caller waits. */
  deadline: Deadline | undefined;
  /** Whether it counts among the connection's streams; only the owner changes it. */
  hasStreams: boolean;
}

export interface StreamLimits {
  readonly maxItemBytes: number;
  readonly maxPendingBytes: number;
}

/** `sequence` 0: a one-way message, whose streams are ignored. */
export function makeCallParts(
  sequence: number,
  head: SharedHead,
  deadlineMs: number | undefined,
  streams: Streams,
  limits: StreamLimits,
): CallParts {
  const { streamCredit } = head;
  const parts: CallParts = {
    head,
    deadlineAt: deadlineMs === undefined ? undefined : now() + Math.min(deadlineMs, MAX_MS),
    deadline: undefined,
    hasStreams: false,
    incoming: undefined,
    outgoing: undefined,
  };
  if (sequence === 0 || (!head.streams && streamCredit === undefined)) return parts;
  const number = (): number => sequence;
  if (head.streams) parts.incoming = new IncomingStream(streams, number, limits.maxItemBytes);
  if (streamCredit !== undefined) {
    parts.outgoing = new OutgoingStream(streams, number, streamCredit, limits.maxPendingBytes);
  }
  return parts;
}
