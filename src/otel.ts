// sealwire for OpenTelemetry: spans, durations and counters. It needs `@opentelemetry/api` (an optional peer dependency).
// An SDK has to be installed for anything to be recorded.

export { observeStats } from "./otel/observeStats.ts";
export type { TelemetryOptions } from "./otel/telemetry.ts";
export { traceCalls } from "./otel/traceCalls.ts";
export { type HandlerTelemetryOptions, noteFailures, traceHandler } from "./otel/traceHandler.ts";
