// sealwire for OpenTelemetry: spans, durations and counters. Needs `@opentelemetry/api` (an optional peer dependency)
// and, for anything to be recorded, an SDK.

export { observeStats } from "./otel/observeStats.ts";
export type { TelemetryOptions } from "./otel/telemetry.ts";
export { traceCalls } from "./otel/traceCalls.ts";
export { type HandlerTelemetryOptions, noteFailures, traceHandler } from "./otel/traceHandler.ts";
