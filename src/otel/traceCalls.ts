// Spans and durations of the calls that this process makes, from the channels of node:diagnostics_channel.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type Attributes, context, type Span, SpanKind } from "@opentelemetry/api";
import type { CallHead } from "../protocol/head.ts";
import type { Call, Connection } from "../rpc/peer.ts";
import { codeOfAnswer } from "../typed/errorAnswer.ts";
import {
  type Failure,
  KnownNames,
  peerAttributes,
  quietly,
  Telemetry,
  type TelemetryOptions,
} from "./telemetry.ts";
import { traceParentOf } from "./traceContext.ts";

const CHANNEL = "tracing:sealwire.request";

/** What the channels tell of one request (docs/GUIDE.md). */
interface Traced {
  readonly connection: Connection;
  readonly bodyBytes: number;
  /** What `start` puts here is sent beside the body. Not there with protocol v1, which has no heads. */
  head?: CallHead | undefined;
  /** There for calls, once they are made. */
  readonly call?: Call | undefined;
  readonly result?: Uint8Array;
  readonly error?: unknown;
}

interface Running {
  readonly span: Span;
  readonly startedAt: number;
  readonly attributes: Attributes;
}

/**
 * From here on every call and request of this process is a span of kind CLIENT, and is counted in the histogram
 * `rpc.client.call.duration`, and carries its span to the far side in the head's trace field (55 bytes; protocol v1 has
 * no heads). A plain request is sent as a call without streams for that, which handlers can't tell apart but by `head`.
 *
 * @returns stops it
 */
export function traceCalls(options: TelemetryOptions = {}): () => void {
  const telemetry = new Telemetry("client", options);
  const running = new WeakMap<object, Running>();
  // Methods that this side calls are its own words; they are bounded all the same.
  const methods = new KnownNames();

  const begin = (message: Traced): void => {
    const { connection, head } = message;
    const attributes: Attributes = { "rpc.system.name": "sealwire" };
    if (connection.remoteAddress !== "") attributes["server.address"] = connection.remoteAddress;
    const method = head?.method;
    if (method !== undefined) {
      methods.add(method);
      attributes["rpc.method"] = methods.shown(method);
    }
    const span = telemetry.tracer.startSpan(
      (attributes["rpc.method"] as string | undefined) ?? "sealwire",
      { kind: SpanKind.CLIENT, attributes: { ...attributes, ...peerAttributes(connection) } },
      context.active(),
    );
    running.set(message, { span, startedAt: performance.now(), attributes });
    const traceParent = traceParentOf(span.spanContext());
    if (!("head" in message) || traceParent === undefined || head?.traceParent !== undefined) return;
    message.head = { ...head, traceParent };
  };

  const finish = (message: Traced): void => {
    const call = running.get(message);
    if (call === undefined) return;
    running.delete(message);
    const failed = failureOf(message);
    telemetry.end(call.span, call.startedAt, call.attributes, failed);
  };

  return listenTo({
    start: begin,
    // A call that throws ends here; a call that was made ends with its answer.
    end: (message) => {
      if ("error" in message) finish(message);
    },
    asyncEnd: finish,
  });
}

/** Subscribes each listener to its channel. The returned function stops them. */
function listenTo(listeners: Record<string, (message: Traced) => void>): () => void {
  const subscribed = Object.entries(listeners).map(([event, listener]) => {
    const name = `${CHANNEL}:${event}`;
    const guarded = (message: unknown): void => void quietly(() => listener(message as Traced));
    subscribe(name, guarded);
    return () => unsubscribe(name, guarded);
  });
  return () => {
    for (const stop of subscribed) stop();
  };
}

/** Why the call failed; undefined where it did not. A typed call fails by an answer of its own kind, too. */
function failureOf({ call, result, ...rest }: Traced): Failure | undefined {
  if ("error" in rest) return { error: rest.error };
  const code = call === undefined || result === undefined ? undefined : codeOfAnswer(call, result);
  return code === undefined ? undefined : { error: { code } };
}
