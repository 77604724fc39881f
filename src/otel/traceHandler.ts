// Spans and durations of the messages that a handler takes.

import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import type { Connection, Message, MessageHandler } from "../rpc/peer.ts";
import { callsItsMethod, codeAnswered, noteErrorAnswers } from "../typed/errorAnswer.ts";
import type { Interceptor, ServedCallInfo } from "../typed/interceptor.ts";
import {
  type Failure,
  KnownNames,
  peerAttributes,
  quietly,
  Telemetry,
  type TelemetryOptions,
} from "./telemetry.ts";
import { parseTraceParent } from "./traceContext.ts";

/** Options of `traceHandler`. */
export interface HandlerTelemetryOptions extends TelemetryOptions {
  /**
   * Whether a peer's trace continues here. Default: for peers that the handshake authenticated. The trace of another
   * peer becomes a link of a new trace, because the owner of a trace decides what is recorded.
   */
  continues?: (connection: Connection) => boolean;
  /**
   * Names of methods, for metrics. A name that is not listed counts as `_OTHER` until a call of it has succeeded,
   * because the peer chooses the names, and each name is a series of its own. At most 1,000 names are distinguished.
   */
  methods?: Iterable<string>;
}

/** Where an interceptor of typed calls notes, for the current message, that the answer is an error. */
const NOTES = createContextKey("sealwire: how the handling of a message went");
interface Notes {
  failed: Failure | undefined;
}

/**
 * An interceptor for `serve(api, { use: [noteFailures] })` of sealwire/rpc inside of `traceHandler`. A typed method
 * that fails sends an answer that is an error, which the handler around it can't distinguish from a success without
 * this interceptor.
 */
export const noteFailures: Interceptor<ServedCallInfo> = async (_call, next): Promise<unknown> => {
  try {
    return await next();
  } catch (error) {
    const notes = context.active().getValue(NOTES) as Notes | undefined;
    if (notes !== undefined) notes.failed = { error };
    throw error;
  }
};

interface Begun {
  readonly notes: Notes;
  readonly span: Span;
  readonly active: Context;
  readonly startedAt: number;
}

/** Makes and ends the span of each message. */
class MessageSpans {
  readonly #telemetry: Telemetry;
  readonly #known: KnownNames;
  readonly #continues: (connection: Connection) => boolean;

  constructor(options: HandlerTelemetryOptions) {
    const { continues = (connection) => connection.authenticated, methods = [] } = options;
    this.#telemetry = new Telemetry("server", options);
    this.#known = new KnownNames(methods);
    this.#continues = continues;
    noteErrorAnswers();
  }

  begin({ connection, head }: Message): Begun {
    const remote = parseTraceParent(head.traceParent);
    const follows = remote !== undefined && this.#continues(connection) === true;
    const parent = follows ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
    const links: Link[] = remote !== undefined && !follows ? [{ context: remote }] : [];
    const attributes = { "rpc.system.name": "sealwire", ...peerAttributes(connection) };
    const spanOptions = { kind: SpanKind.SERVER, attributes, links };
    const span = this.#telemetry.tracer.startSpan("sealwire", spanOptions, parent);
    const notes: Notes = { failed: undefined };
    const active = trace.setSpan(parent, span).setValue(NOTES, notes);
    return { notes, span, active, startedAt: performance.now() };
  }

  end(begun: Begun, message: Message, method: string | undefined, thrown: Failure | undefined): void {
    const { span, startedAt } = begun;
    const failed = thrown ?? begun.notes.failed ?? answeredFailure(message);
    const attributes: Attributes = { "rpc.system.name": "sealwire" };
    if (method !== undefined) {
      if (failed === undefined && callsItsMethod(message)) this.#known.add(method);
      const shown = this.#known.shown(method);
      attributes["rpc.method"] = shown;
      span.setAttribute("rpc.method", shown);
      if (shown === method) span.updateName(shown);
      else span.setAttribute("rpc.method_original", method);
    }
    this.#telemetry.end(span, startedAt, attributes, failed);
  }
}

/** The error of a call that `serve` answered itself: no method has failed, because none of that name was there. */
function answeredFailure(message: Message): Failure | undefined {
  const code = codeAnswered(message);
  return code === undefined ? undefined : { error: { code } };
}

/**
 * Puts a span of kind SERVER around each message, which is active while the handler runs, and records the histogram
 * `rpc.server.call.duration`. A handler that continues after its return returns its promise: the span ends when that
 * settles.
 */
export function traceHandler(handler: MessageHandler, options: HandlerTelemetryOptions = {}): MessageHandler {
  const spans = new MessageSpans(options);
  return (message) => {
    const begun = quietly(() => spans.begin(message));
    if (begun === undefined) return handler(message);
    // Read now: a one-way message whose body is a view is reused later.
    const { method } = message.head;
    const end = (failed?: Failure): void => void quietly(() => spans.end(begun, message, method, failed));
    let result: unknown;
    try {
      result = context.with(begun.active, handler, undefined, message);
    } catch (error) {
      end({ error });
      throw error;
    }
    if (typeof (result as PromiseLike<unknown> | undefined)?.then !== "function") {
      end();
      return result;
    }
    return Promise.resolve(result).then(
      (value) => {
        end();
        return value;
      },
      (error) => {
        end({ error });
        throw error;
      },
    );
  };
}
