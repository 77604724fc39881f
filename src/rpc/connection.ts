// One connection as its owner and the application call it: it sends messages and requests, and closes in good order.
// The events of its socket are the business of link.ts.

import { type ErrorCode, SealwireError } from "../base/errors.ts";
import type { PeerIdentity } from "../base/options.ts";
import { copyOf } from "../core/bytes.ts";
import { channels, traceRequest, tracesRequests } from "../core/diagnostics.ts";
import type { Role } from "../protocol/handshake.ts";
import { type CallHead, readHead } from "../protocol/head.ts";
import { PreparedHead } from "../protocol/preparedHead.ts";
import type { PendingCall } from "./call.ts";
import {
  callOptionNames,
  checkCallOptions,
  checkRequestOptions,
  requestOptionNames,
  requireOptions,
  sendOptionNames,
} from "./callOptions.ts";
import { abortedError } from "./clientErrors.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { type CopyingFunctions, copyingFunctions } from "./copyingCaller.ts";
import { keptOptions } from "./keptOptions.ts";
import { Link } from "./link.ts";
import type {
  CallOptions,
  Connection,
  ConnectionState,
  ConnectionStats,
  RequestOptions,
  SendOptions,
} from "./peer.ts";

/** The message of the diagnostics channels for a request. */
interface TracedRequest {
  readonly connection: Connection;
  readonly bodyBytes: number;
  /** The head that is sent. Absent with protocol v1, which has no heads. */
  head?: CallHead | undefined;
}

/** The message of the diagnostics channels for a call. */
interface TracedCall extends TracedRequest {
  /** Set once the call was made. */
  call: PendingCall | undefined;
}

export class RpcConnection implements Connection {
  readonly #requestTimeoutMs: number;
  #requests = 0;
  /** The link that gets the events of its socket. */
  readonly link: Link<RpcConnection>;

  constructor(role: Role, context: ConnectionContext, observer: ConnectionObserver<RpcConnection>) {
    this.#requestTimeoutMs = context.limits.requestTimeoutMs;
    this.link = new Link(role, context, observer, this);
  }

  get [copyingFunctions](): CopyingFunctions {
    return ownFunctions;
  }

  get state(): ConnectionState {
    return this.link.lifecycle.publicState;
  }

  get remoteAddress(): string {
    return this.link.remoteAddress;
  }

  get identity(): PeerIdentity | undefined {
    const { identity } = this.link;
    if (identity === undefined) return undefined;
    return { ...identity, remoteStaticKey: this.remoteStaticKey, handshakeHash: this.handshakeHash };
  }

  get authenticated(): boolean {
    return this.link.identity?.authenticated ?? false;
  }

  get remoteStaticKey(): Uint8Array | undefined {
    return copied(this.link.identity?.remoteStaticKey);
  }

  get handshakeHash(): Uint8Array | undefined {
    return copied(this.link.identity?.handshakeHash);
  }

  get pendingBytes(): number {
    return this.link.outbox.pendingBytes;
  }

  get inFlightRequests(): number {
    return this.link.requests.size;
  }

  get droppedReplies(): number {
    return this.link.inbox.droppedReplies;
  }

  get stats(): ConnectionStats {
    const { receivedBytes, sentBytes } = this.link;
    const { droppedReplies, inFlightRequests, pendingBytes } = this;
    return {
      receivedBytes,
      sentBytes,
      requests: this.#requests,
      droppedReplies,
      inFlightRequests,
      pendingBytes,
    };
  }

  /** `state` is "open". */
  get isOpen(): boolean {
    return this.link.lifecycle.isOpen;
  }

  /** The connection takes new calls: it is neither closing nor closed. */
  get usable(): boolean {
    return this.link.lifecycle.takesCalls;
  }

  get requestsFull(): boolean {
    return this.link.requests.full;
  }

  /** A request of this side was answered, be it with an error. */
  get answered(): boolean {
    return this.link.inbox.answered;
  }

  send(body: Uint8Array, options?: SendOptions): Promise<void> {
    const { outbox } = this.link;
    const isTaken = outbox.bodies.isTaken(body);
    let head: CallHead | undefined;
    let timeoutMs: number | undefined;
    if (options !== undefined) {
      requireOptions(options, sendOptionNames);
      ({ head, timeoutMs } = options);
      checkCallOptions(undefined, timeoutMs, undefined, head, undefined);
    }
    timeoutMs ??= this.#requestTimeoutMs;
    const refusal = isTaken ? outbox.refusal(body.length) : outbox.bodies.tooLarge(body.length);
    if (refusal !== undefined) return this.#refused(refusal);
    return head === undefined ? outbox.send(body, timeoutMs) : outbox.sendWithHead(body, head, timeoutMs);
  }

  sendNoWait(body: Uint8Array): boolean {
    const { lifecycle, outbox } = this.link;
    if (!outbox.bodies.isTaken(body) || !lifecycle.takesCalls) return false;
    if (outbox.sendNoWait(body)) return true;
    this.#tellFull("ERR_BACKPRESSURE");
    return false;
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    return tracesRequests() ? this.#requestTraced(body, options) : this.#request(body, options);
  }

  /** Apart from `request`: variables that a closure captures cost an allocation at each call of their function. */
  #requestTraced(body: Uint8Array, options: RequestOptions | undefined): Promise<Uint8Array> {
    const context: TracedRequest = this.#traced(body);
    // A subscriber of `start` may set a head here, with a trace context in it.
    if (this.link.outbox.takesHeads) context.head = undefined;
    return traceRequest(() => {
      const { head } = context;
      return this.#request(body, options, head === undefined ? undefined : readHead(head));
    }, context);
  }

  #request(body: Uint8Array, options?: RequestOptions, head?: CallHead): Promise<Uint8Array> {
    const { outbox } = this.link;
    outbox.bodies.check(body);
    let timeoutMs: number | undefined;
    let signal: AbortSignal | undefined;
    let into: Uint8Array | undefined;
    if (options !== undefined) {
      requireOptions(options, requestOptionNames);
      ({ signal, timeoutMs, into } = options);
      checkRequestOptions(signal, timeoutMs, into);
    }
    timeoutMs ??= this.#requestTimeoutMs;
    const refusal = aborted(signal) ?? outbox.refusal(body.length) ?? this.#tooMany();
    if (refusal !== undefined) return this.#refused(refusal);
    const request = outbox.request(body, into, timeoutMs, signal, head);
    this.#requests++;
    return request.settling;
  }

  call(body: Uint8Array, options?: CallOptions): PendingCall {
    return tracesRequests() ? this.#callTraced(body, options) : this.#call(body, options);
  }

  #callTraced(body: Uint8Array, options: CallOptions | undefined): PendingCall {
    let call!: PendingCall;
    // A subscriber of `start` may set another head here, with a trace context in it.
    const context: TracedCall = { ...this.#traced(body), head: options?.head, call: undefined };
    const traced = traceRequest(() => {
      const { head } = context;
      call = this.#call(
        body,
        head === undefined
          ? options
          : { ...(options && keptOptions(options, callOptionNames)), head: ownHead(head) },
      );
      call.isTraced = true;
      context.call = call;
      return call.settling;
    }, context);
    traced.catch(() => {}); // the call itself reports its failure to the caller
    return call;
  }

  #call(body: Uint8Array, options: CallOptions = {}): PendingCall {
    const { outbox } = this.link;
    outbox.bodies.check(body);
    requireOptions(options, callOptionNames);
    const { signal, timeoutMs = this.#requestTimeoutMs, head, streams = true } = options;
    checkCallOptions(signal, timeoutMs, undefined, head, streams);
    const refusal = aborted(signal) ?? outbox.refusal(body.length) ?? this.#tooMany();
    const call = outbox.call(body, head, timeoutMs, signal, streams, refusal);
    call.connection = this;
    if (refusal === undefined) this.#requests++;
    else this.#tellIfFull(refusal);
    return call;
  }

  close(): Promise<void> {
    return this.link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends it at once: calls in flight reject with this error. */
  destroy(error: SealwireError): void {
    this.link.shutdown(error);
  }

  /** The members of a trace's message except the outcome. */
  #traced(body: Uint8Array): TracedRequest {
    return { connection: this, bodyBytes: body?.byteLength };
  }

  #refused(error: SealwireError): Promise<never> {
    this.#tellIfFull(error);
    return Promise.reject(error);
  }

  #tellIfFull({ code }: SealwireError): void {
    if (code === "ERR_BACKPRESSURE" || code === "ERR_TOO_MANY_REQUESTS") this.#tellFull(code);
  }

  #tellFull(code: ErrorCode): void {
    if (channels.queueFull.hasSubscribers) channels.queueFull.publish({ connection: this, code });
  }

  #tooMany(): SealwireError | undefined {
    const { requests } = this.link;
    if (!requests.full) return undefined;
    const text = `${requests.size} requests are in flight on this connection`;
    return new SealwireError("ERR_TOO_MANY_REQUESTS", text, { notBegun: true });
  }
}

/** A subscriber may have spread a head of this package, which has members that no other head has. */
function ownHead(head: CallHead): CallHead {
  return head instanceof PreparedHead ? head : readHead(head);
}

/** Whatever the application does with a key or hash, the library compares its own. */
function copied(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && copyOf(bytes);
}

const { call, send } = RpcConnection.prototype;
const ownFunctions: CopyingFunctions = { call, send };

function aborted(signal: AbortSignal | undefined): SealwireError | undefined {
  return signal?.aborted ? abortedError(signal) : undefined;
}
