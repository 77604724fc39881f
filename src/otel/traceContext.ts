// The trace field of a head: W3C Trace Context's `traceparent`, version 00 (https://www.w3.org/TR/trace-context/).

import { isSpanContextValid, type SpanContext } from "@opentelemetry/api";

const TRACE_PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;

/** 55 characters; undefined if there is no trace to pass on. */
export function traceParentOf(context: SpanContext): string | undefined {
  if (!isSpanContextValid(context)) return undefined;
  const flags = (context.traceFlags & SAMPLED).toString(16).padStart(2, "0");
  return `00-${context.traceId}-${context.spanId}-${flags}`;
}

/** Undefined if the text is not of version 00, or means that there is no trace. */
export function parseTraceParent(text: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACE_PARENT.exec(text ?? "") ?? [];
  if (traceId === undefined) return undefined;
  const traceFlags = Number.parseInt(flags!, 16) & SAMPLED;
  const context = { traceId, spanId: spanId!, traceFlags, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}
