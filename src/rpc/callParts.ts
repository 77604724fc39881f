// The parts that a call of the peer has in addition to a request: its head, its deadline and its streams.

import { MAX_MS } from "../base/options.ts";
import { now } from "../core/eventLoop.ts";
import type { SharedHead } from "../protocol/preparedHead.ts";
import { CallbackDeadline, type Deadline } from "./deadline.ts";
import { IncomingStream } from "./incomingStream.ts";
import { OutgoingStream } from "./outgoingStream.ts";
import type { Streams } from "./streams.ts";
import { timers } from "./timers.ts";

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
  /** Of an item as well. */
  readonly maxFrameBytes: number;
  readonly maxPendingBytes: number;
}

/** The deadline of a caller, or this side's if that is shorter; `maxDeadlineMs` 0: this side has none. */
export function capped(deadlineMs: number | undefined, maxDeadlineMs: number): number | undefined {
  return maxDeadlineMs === 0 ? deadlineMs : Math.min(deadlineMs ?? maxDeadlineMs, maxDeadlineMs);
}

/** `sequence` 0: a one-way message, whose streams are ignored. */
export function makeCallParts(
  sequence: number,
  head: SharedHead,
  deadlineMs: number | undefined,
  streams: Streams,
  limits: StreamLimits,
): CallParts {
  const parts: CallParts = {
    head,
    deadlineAt: deadlineMs === undefined ? undefined : now() + Math.min(deadlineMs, MAX_MS),
    deadline: undefined,
    hasStreams: false,
    incoming: undefined,
    outgoing: undefined,
  };
  if (sequence !== 0) addStreams(parts, sequence, streams, limits);
  return parts;
}

/** Why a call ends at its deadline. */
export const EXPIRED = "the deadline of the call has passed";

/** Calls `expired` at the deadline, which was `deadlineMs` when the call arrived. */
export function armDeadline(parts: CallParts, deadlineMs: number, expired: () => void): void {
  parts.deadline = new CallbackDeadline(expired);
  timers.arm(parts.deadline, Math.max(Math.min(deadlineMs, MAX_MS, parts.deadlineAt! - now()), 1));
}

function addStreams(parts: CallParts, sequence: number, streams: Streams, limits: StreamLimits): void {
  const { streams: hasIncoming, streamCredit } = parts.head;
  if (hasIncoming) parts.incoming = new IncomingStream(streams, constant(sequence), limits.maxFrameBytes);
  if (streamCredit !== undefined) {
    parts.outgoing = new OutgoingStream(streams, constant(sequence), streamCredit, limits.maxPendingBytes);
  }
}

/** Apart, since engines allocate for captured variables whenever the function that has them is called. */
function constant(value: number): () => number {
  return () => value;
}
