// Telemetry code that calls and handlers share: instruments by OpenTelemetry's conventions for RPC (semantic
// conventions 1.45, https://opentelemetry.io/docs/specs/semconv/rpc/), attributes, and errors.

import {
  type Attributes,
  type Histogram,
  type MeterProvider,
  metrics,
  type Span,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { SealwireError } from "../base/errors.ts";
import type { Connection } from "../rpc/peer.ts";

const SCOPE = "sealwire";
/** Boundaries in seconds, as the conventions advise. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** The name that replaces names without a series of their own. */
export const OTHER = "_OTHER";
/** The most names of one kind that have a series of their own. */
const MOST_NAMES = 1_000;

/** The destinations of spans and metrics. */
export interface TelemetryOptions {
  /** Default: the global provider. */
  tracerProvider?: TracerProvider;
  /** Default: the global provider. */
  meterProvider?: MeterProvider;
}

/** A bounded set of known names: a peer can't create a series by inventing a name. */
export class KnownNames {
  readonly #names: Set<string>;

  constructor(names: Iterable<string> = []) {
    this.#names = new Set(names);
  }

  add(name: string): void {
    if (this.#names.size < MOST_NAMES) this.#names.add(name);
  }

  /** The name, or its replacement. */
  shown(name: string): string {
    return this.#names.has(name) ? name : OTHER;
  }
}

/** Why a call failed. */
export interface Failure {
  readonly error: unknown;
}

export class Telemetry {
  readonly tracer: Tracer;
  readonly #duration: Histogram;
  readonly #codes = new KnownNames();

  constructor(side: "client" | "server", { tracerProvider, meterProvider }: TelemetryOptions) {
    this.tracer = (tracerProvider ?? trace).getTracer(SCOPE);
    const meter = (meterProvider ?? metrics).getMeter(SCOPE);
    this.#duration = meter.createHistogram(`rpc.${side}.call.duration`, {
      description: side === "client" ? "Duration of outgoing calls" : "Duration of incoming calls",
      unit: "s",
      advice: { explicitBucketBoundaries: BOUNDARIES },
    });
  }

  /** Ends a span, and records its duration. `startedAt`: the time of its start, by performance.now(). */
  end(span: Span, startedAt: number, attributes: Attributes, failed?: Failure): void {
    const measured = { ...attributes };
    if (failed !== undefined) {
      const code = codeOf(failed.error);
      this.#codes.add(code);
      measured["error.type"] = this.#codes.shown(code);
      span.setAttributes({ "error.type": code, "rpc.response.status_code": code });
      span.setStatus({ code: SpanStatusCode.ERROR, message: code });
      if (failed.error instanceof Error) span.recordException(failed.error);
    }
    span.end();
    this.#duration.record((performance.now() - startedAt) / 1_000, measured);
  }
}

/** The attributes of every span about the peer. */
export function peerAttributes({ remoteAddress }: Connection): Attributes {
  return remoteAddress === "" ? {} : { "network.peer.address": remoteAddress };
}

/** The code that the far side sent; without one, this side's own code. */
function codeOf(error: unknown): string {
  if (error instanceof SealwireError) return error.remoteCode ?? error.code;
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === "string") return code;
  return typeof name === "string" ? name : OTHER;
}

/** A failure of telemetry must not fail a call. */
export function quietly<T>(tell: () => T): T | undefined {
  try {
    return tell();
  } catch {
    return undefined;
  }
}
