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

/** The message of the channels for one request (docs/GUIDE.md). */
interface Traced {
  readonly connection: Connection;
  readonly bodyBytes: number;
  /** A head that is set here at `start` is sent beside the body. Absent with protocol v1, which has no heads. */
  head?: CallHead | undefined;
  /** Set for calls, once they are made. */
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
 * From now on every call and request of this process is a span of kind CLIENT and is recorded in the histogram
 * `rpc.client.call.duration`. It carries its span to the far side in the head's trace field (55 bytes; protocol v1 has
 * no heads). For that, a plain request is sent as a call without streams; a handler sees the difference only in `head`.
 *
 * @returns a function that stops it
 */
export function traceCalls(options: TelemetryOptions = {}): () => void {
  const telemetry = new Telemetry("client", options);
  const running = new WeakMap<object, Running>();
  // This side chooses the methods that it calls; their number is bounded all the same.
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

/** Why the call failed; undefined if it did not. A typed call also fails by an answer that is an error. */
function failureOf({ call, result, ...rest }: Traced): Failure | undefined {
  if ("error" in rest) return { error: rest.error };
  const code = call === undefined || result === undefined ? undefined : codeOfAnswer(call, result);
  return code === undefined ? undefined : { error: { code } };
}
