// sealwire/otel with the real SDK: one trace over all runtimes, metrics by the conventions, and the limits of a peer.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { context } from "@opentelemetry/api";
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
import { build } from "esbuild";
import { afterEach, beforeAll, expect, test } from "vitest";
import { connect, listen } from "../dist/index.js";
import { noteFailures, traceCalls, traceHandler } from "../dist/otel.js";
import { RpcError, serve, typed } from "../dist/rpc.js";
import { runtimes } from "../scripts/runtimes.js";
import type { CallHead, Message, SealwireError } from "../src/index.ts";
import type { HandlerTelemetryOptions } from "../src/otel.ts";
import type { Remote } from "../src/rpc.ts";
import { JsonProcess } from "./support/childProcess.ts";
import { repositoryRoot } from "./support/vectors.ts";

/** One file for all runtimes, because Deno finds no packages here. */
const peer = join(repositoryRoot, "build/tracedPeer.mjs");
beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL("support/tracedPeer.js", import.meta.url))],
    outfile: peer,
    bundle: true,
    logLevel: "error",
    platform: "node",
    format: "esm",
    // The SDK for Node has a module or two that call require().
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
});
const psk = "5e".repeat(32);
const [CLIENT, SERVER] = [2, 1];
const ERROR = 2;

interface Told {
  spans: {
    name: string;
    kind: number;
    traceId: string;
    spanId: string;
    parent?: string;
    attributes: Record<string, unknown>;
    status: number;
    links: number;
  }[];
  metrics: {
    name: string;
    unit: string;
    points: { attributes: Record<string, unknown>; value: number }[];
  }[];
}

const running: JsonProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) await child.stop();
});

function start(runtime: ReturnType<typeof runtimes>[number], options: object): JsonProcess {
  const child = new JsonProcess(runtime, peer, [JSON.stringify({ psk, ...options })]);
  running.push(child);
  return child;
}

test("one trace goes through every runtime, and each counts its calls", async () => {
  const order = runtimes();
  let next: number | undefined;
  const servers: JsonProcess[] = [];
  for (const runtime of order.slice(1).reverse()) {
    const server = start(runtime, next === undefined ? {} : { next });
    servers.unshift(server);
    next = (await server.entryWith("port")).port as number;
  }
  const first = start(order[0]!, { next, call: ["api.first", "api.second", "api.fails"] });
  const told: Told[] = [(await first.entryWith("spans")) as unknown as Told];
  for (const server of servers) {
    server.kill("SIGTERM");
    told.push((await server.entryWith("spans")) as unknown as Told);
  }

  const [origin, ...others] = told as [Told, ...Told[]];
  const root = origin.spans.find(({ name }) => name === "root")!;
  const calls = origin.spans.filter(({ kind, traceId }) => kind === CLIENT && traceId === root.traceId);
  expect(calls.map(({ name, parent, status }) => [name, parent, status])).toEqual([
    ["api.first", root.spanId, 0],
    ["api.second", root.spanId, 0],
    ["api.fails", root.spanId, ERROR],
    ["sealwire", root.spanId, 0], // a plain request
  ]);
  let above = calls;
  for (const [i, { spans }] of others.entries()) {
    const inTrace = spans.filter(({ traceId }) => traceId === root.traceId);
    const handled = inTrace.filter(({ kind }) => kind === SERVER);
    expect(handled.map(({ parent }) => parent)).toEqual(above.map(({ spanId }) => spanId));
    const failing = i === 0 ? ["sealwire"] : [];
    expect(handled.map(({ name }) => name)).toEqual(["api.first", "api.second", ...failing, "sealwire"]);
    above = inTrace.filter(({ kind }) => kind === CLIENT);
    // The call that fails goes no further than the first.
    const passedOn = handled.filter(({ status }) => status !== ERROR);
    if (i < others.length - 1)
      expect(above.map(({ parent }) => parent)).toEqual(passedOn.map(({ spanId }) => spanId));
  }

  const failed = calls[2]!;
  expect(failed.attributes).toMatchObject({
    "rpc.system.name": "sealwire",
    "rpc.method": "api.fails",
    "error.type": "E_NO",
    "rpc.response.status_code": "E_NO",
    "network.peer.address": "127.0.0.1",
  });
  // A name whose calls never succeed is the peer's word only.
  const [refused] = others[0]!.spans.filter(({ status }) => status === ERROR);
  expect(refused).toMatchObject({
    name: "sealwire",
    attributes: { "rpc.method": "_OTHER", "rpc.method_original": "api.fails", "error.type": "E_NO" },
  });
  // The request outside of the root is a trace of its own, through all of them.
  const alone = origin.spans.find(({ kind, traceId }) => kind === CLIENT && traceId !== root.traceId)!;
  for (const { spans } of others) {
    const handled = spans.filter(({ traceId, kind }) => traceId === alone.traceId && kind === SERVER);
    expect(handled.map(({ name, links }) => [name, links])).toEqual([["sealwire", 0]]);
  }

  const points = ({ metrics }: Told, name: string) => metrics.find((metric) => metric.name === name);
  const client = points(origin, "rpc.client.call.duration")!;
  expect(client.unit).toBe("s");
  const counted = (method: string) =>
    client.points.find(({ attributes }) => attributes["rpc.method"] === method)!;
  expect(counted("api.first").value).toBe(1);
  expect(counted("api.fails").attributes).toMatchObject({ "error.type": "E_NO" });
  expect(
    points(others[0]!, "rpc.server.call.duration")!
      .points.map(({ value }) => value)
      .sort(),
  ).toEqual([1, 1, 1, 2]);
  const opened = points(others[0]!, "sealwire.opened_connections")!;
  expect(opened.points).toEqual([{ attributes: { "sealwire.name": "server" }, value: 1 }]);
});

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const TRACE_PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

interface RecordedCall extends CallHead {
  readonly body?: Uint8Array;
  /** Its caller leaves when the calls after it were answered. */
  readonly isLeft?: boolean;
}

/** What a server with this handler records of calls with these heads. */
async function recorded(
  calls: readonly RecordedCall[],
  handler: (message: Message) => unknown,
  options: HandlerTelemetryOptions & { psk?: string } = {},
) {
  const { psk: shared, ...rest } = options;
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter,
    exportIntervalMillis: 3_600_000,
  });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const who = shared === undefined ? {} : { psk: shared };
  const onMessage = traceHandler(handler, { tracerProvider, meterProvider, ...rest });
  const server = await listen({ port: 0, ...who, onMessage, onHandlerError: () => {} });
  const client = connect({ port: server.port, ...who });
  const outcomes: string[] = [];
  const leaving = new AbortController();
  for (const { body = new Uint8Array(1), isLeft = false, ...head } of calls) {
    const call = client.call(body, isLeft ? { head, signal: leaving.signal } : { head });
    call.end();
    if (isLeft) continue;
    outcomes.push(
      await call.answer.then(
        () => "answered",
        ({ remoteCode }: SealwireError) => remoteCode!,
      ),
    );
  }
  leaving.abort();
  await client.close();
  await server.close();
  await reader.forceFlush();
  const series = metricExporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes }) => attributes["rpc.method"]));
  await meterProvider.shutdown();
  return { spans: exporter.getFinishedSpans(), outcomes, series };
}

const answer = (message: Message): void => void message.reply(message.body);

test("the trace of a peer that could be anyone is a link, unless it is trusted by name", async () => {
  const [stranger] = (await recorded([{ traceParent: TRACE_PARENT }], answer)).spans;
  expect(stranger!.spanContext().traceId).not.toBe(TRACE);
  expect(stranger!.parentSpanContext).toBeUndefined();
  expect(stranger!.links.map(({ context }) => context.traceId)).toEqual([TRACE]);
  for (const options of [{ psk }, { continues: () => true }]) {
    const [span] = (await recorded([{ traceParent: TRACE_PARENT }], answer, options)).spans;
    expect(span!.spanContext().traceId).toBe(TRACE);
    expect(span!.parentSpanContext).toMatchObject({ spanId: "b7ad6b7169203331", isRemote: true });
  }
});

test("a trace field that is none begins a new trace", async () => {
  const fields = [
    "",
    "00",
    "x".repeat(55),
    `01${TRACE_PARENT.slice(2)}`,
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
  ];
  const { spans } = await recorded(
    fields.map((traceParent) => ({ traceParent })),
    answer,
    { psk },
  );
  expect(spans).toHaveLength(fields.length);
  for (const span of spans) {
    expect(span.parentSpanContext).toBeUndefined();
    expect(span.links).toEqual([]);
  }
});

test("names that a peer makes up are one series; those that are known, or have succeeded, have their own", async () => {
  const calls = ["listed", "made up", "made up 2", "works", "works"].map((method) => ({ method }));
  const handler = (message: Message): void => {
    if (message.head.method === "works") answer(message);
    else throw Object.assign(new Error("no such method"), { code: "E_METHOD" });
  };
  const { series, outcomes } = await recorded(calls, handler, { psk, methods: ["listed"] });
  expect(outcomes).toEqual(["E_METHOD", "E_METHOD", "E_METHOD", "answered", "answered"]);
  expect(series.sort()).toEqual(["_OTHER", "listed", "works"]);
});

test("names of typed calls that a peer makes up are one series, whatever the calls are about", async () => {
  const typedCall = (method: string, what: number, { version = 1, text = "" } = {}): RecordedCall => ({
    method,
    contentType: 1,
    fields: new Map([[255, Uint8Array.of(version, what, 1, 0, 0, 0, 1)]]),
    body: new TextEncoder().encode(text),
  });
  const calls = [
    typedCall("no method", 1),
    typedCall("no method with options", 2),
    typedCall("no stream", 3),
    { ...typedCall("a stream of arguments", 4), isLeft: true },
    typedCall("the same stream again", 4),
    typedCall("what nobody knows", 5),
    typedCall("another version", 1, { version: 2 }),
    typedCall("no arguments", 1, { text: "{" }),
    typedCall("real", 1),
  ];
  const handler = serve({ real: () => 1, "no arguments": () => 2 }, { use: [noteFailures] });
  const { series, spans, outcomes } = await recorded(calls, handler, { psk });
  expect(outcomes).toEqual(Array(calls.length - 1).fill("answered"));
  expect(new Set(series)).toEqual(new Set(["_OTHER", "real"]));
  expect(spans).toHaveLength(calls.length);
  const failed = spans.filter(({ status }) => status.code === ERROR);
  expect(failed.map(({ attributes }) => attributes["error.type"])).toEqual([
    "ERR_NO_METHOD",
    "ERR_NO_METHOD",
    "ERR_NO_STREAM",
    "ERR_CODEC",
    "ERR_CODEC",
    "ERR_BAD_INPUT",
  ]);
});

test("telemetry that throws harms no call, in either direction", async () => {
  const broken = {
    getTracer: () => ({
      startSpan: () => {
        throw new Error("a tracer that is out of order");
      },
    }),
  } as unknown as NonNullable<HandlerTelemetryOptions["tracerProvider"]>;
  const stop = traceCalls({ tracerProvider: broken });
  try {
    const { outcomes } = await recorded([{ method: "a" }, {}], answer, { psk, tracerProvider: broken });
    expect(outcomes).toEqual(["answered", "answered"]);
  } finally {
    stop();
  }
});

test("typed calls are spans by their methods, failures included, and their handlers' calls go on in the trace", async () => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  const stop = traceCalls({ tracerProvider });
  const options = { tracerProvider, methods: ["double", "refuse", "count"] };
  const api = {
    double: (value: number) => value * 2,
    refuse: () => {
      throw new RpcError("FORBIDDEN", "not yours");
    },
    count: async function* (to: number) {
      for (let i = 0; i < to; i++) yield i;
    },
  };
  const server = await listen({
    port: 0,
    psk,
    onMessage: traceHandler(serve(api, { use: [noteFailures] }), options),
  });
  const client = connect({ port: server.port, psk });
  try {
    const remote = typed(client) as unknown as Remote<typeof api>;
    await tracerProvider.getTracer("test").startActiveSpan("root", async (root) => {
      expect(await remote.double(4)).toBe(8);
      await expect(remote.refuse()).rejects.toMatchObject({ code: "FORBIDDEN" });
      const counted: number[] = [];
      for await (const value of await remote.count(3)) counted.push(value);
      expect(counted).toEqual([0, 1, 2]);
      root.end();
    });
  } finally {
    await client.close();
    await server.close();
    stop();
    context.disable();
  }
  const spans = exporter.getFinishedSpans();
  for (const method of ["double", "refuse", "count"]) {
    const ofMethod = spans.filter(({ name }) => name === method);
    expect(new Set(ofMethod.map(({ kind }) => kind)), method).toEqual(new Set([CLIENT, SERVER]));
    const root = spans.find(({ name }) => name === "root")!;
    for (const span of ofMethod) expect(span.spanContext().traceId, method).toBe(root.spanContext().traceId);
    const statuses = new Set(ofMethod.map(({ status }) => status.code));
    expect(statuses, method).toEqual(new Set([method === "refuse" ? ERROR : 0]));
    for (const { attributes } of method === "refuse" ? ofMethod : [])
      expect(attributes["error.type"]).toBe("FORBIDDEN");
  }
});

test("a message without a head has its own outcome, whatever came before it in the same memory", async () => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const api = serve({ ok: () => 1 });
  const plain: Message[] = [];
  // With views, the object of a one-way message without a head is that of an earlier one.
  const handler = (message: Message): unknown => {
    if (message.head.method !== undefined) return api(message);
    plain.push(message);
    return message.expectsReply && message.reply(message.body);
  };
  const onMessage = traceHandler(handler, { tracerProvider });
  const server = await listen({ port: 0, psk, onMessage, messageBodies: "view", onHandlerError: () => {} });
  const client = connect({ port: server.port, psk });
  const remote = typed(client) as unknown as Record<string, () => Promise<unknown>>;
  const body = new Uint8Array(1);
  for (let i = 0; i < 4; i++) {
    await client.send(body);
    await expect(remote.missing!()).rejects.toMatchObject({ code: "ERR_NO_METHOD" });
    await client.request(body);
  }
  await client.close();
  await server.close();
  expect(new Set(plain).size).toBeLessThan(plain.length);
  const statuses = exporter.getFinishedSpans().map(({ status }) => status.code);
  expect(statuses).toEqual(Array.from({ length: 4 }, () => [0, ERROR, 0]).flat());
});
