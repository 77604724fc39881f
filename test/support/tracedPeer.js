// A program of the trace tests. It serves `api` calls, which the real SDK traces into memory, and passes each on to the
// next peer, if there is one. Options are JSON in the first argument. It prints its port and, when it is told to end,
// its spans and metrics.
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { connect, listen } from "../../dist/index.js";
import { observeStats, traceCalls, traceHandler } from "../../dist/otel.js";

const { psk, next, call } = JSON.parse(process.argv.at(-1));
const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({
  exporter: metricExporter,
  exportIntervalMillis: 3_600_000,
});
const meterProvider = new MeterProvider({ readers: [reader] });
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

const providers = { tracerProvider, meterProvider };
const stop = traceCalls(providers);
const client = next === undefined ? undefined : connect({ port: next, psk });

/** A call of this method; a plain request where it is undefined. */
async function ask(method) {
  if (method === undefined) return client.request(Uint8Array.of(2));
  const made = client.call(new Uint8Array(1), { head: { method } });
  made.end();
  return made.answer;
}

async function handle(message) {
  // What the handler does behind an await is still inside of its span.
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (message.head.method === "api.fails") throw Object.assign(new Error("no"), { code: "E_NO" });
  message.reply(client === undefined ? message.body : await ask(message.head.method));
}

const server = await listen({ port: 0, psk, onMessage: traceHandler(handle, providers) });
const stopObserving = observeStats("server", server, { meterProvider });
console.log(JSON.stringify({ port: server.port }));

if (call !== undefined) {
  const tracer = tracerProvider.getTracer("test");
  await tracer.startActiveSpan("root", async (span) => {
    for (const method of call) await ask(method).catch(() => {});
    await ask(undefined).catch(() => {});
    span.end();
  });
  await ask(undefined).catch(() => {});
}

async function end() {
  await client?.close();
  await server.close();
  await reader.forceFlush();
  stop();
  stopObserving();
  const spans = exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    kind: span.kind,
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
    attributes: span.attributes,
    status: span.status.code,
    links: span.links.length,
  }));
  const metrics = metricExporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    .map(({ descriptor, dataPoints }) => ({
      name: descriptor.name,
      unit: descriptor.unit,
      points: dataPoints.map(({ attributes, value }) => ({ attributes, value: value.count ?? value })),
    }));
  const { traceId } = trace.getSpanContext(context.active()) ?? {};
  console.log(JSON.stringify({ spans, metrics, active: traceId }));
  await meterProvider.shutdown();
  process.exit(0);
}
process.on("SIGTERM", end);
if (call !== undefined) await end();
