// One connection as its owner and the application call it: messages, requests, the orderly end. What the socket tells
// and what follows from it is the link's (link.ts).

import { Kind } from "../base/constants.ts";
import { type ErrorCode, invalidArgument, SealwireError } from "../base/errors.ts";
import { integerOption, type PeerIdentity } from "../base/options.ts";
import { isAbortSignal } from "../core/abortSignal.ts";
import { requireBytes } from "../core/bytes.ts";
import { channels, traceRequest, tracesRequests } from "../core/diagnostics.ts";
import type { Role } from "../protocol/handshake.ts";
import type { ConnectionContext, ConnectionObserver } from "./context.ts";
import { Link } from "./link.ts";
import type { Connection, ConnectionState, ConnectionStats, RequestOptions } from "./peer.ts";
import { PendingRequest } from "./requests.ts";
import { timers } from "./timers.ts";

export class RpcConnection implements Connection {
  readonly #requestTimeoutMs: number;
  #requests = 0;
  /** What its socket is given. */
  readonly link: Link<RpcConnection>;

  constructor(role: Role, context: ConnectionContext, observer: ConnectionObserver<RpcConnection>) {
    this.#requestTimeoutMs = context.limits.requestTimeoutMs;
    this.link = new Link(role, context, observer, this);
  }

  get state(): ConnectionState {
    return this.link.lifecycle.publicState;
  }

  get remoteAddress(): string {
    return this.link.remoteAddress;
  }

  get identity(): PeerIdentity | undefined {
    return this.link.identity;
  }

  get authenticated(): boolean {
    return this.link.identity?.authenticated ?? false;
  }

  get remoteStaticKey(): Uint8Array | undefined {
    return this.link.identity?.remoteStaticKey;
  }

  get handshakeHash(): Uint8Array | undefined {
    return this.link.identity?.handshakeHash;
  }

  get pendingBytes(): number {
    return this.link.outbox.sender.pendingBytes;
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

  /** May take new calls: not closing, not closed. */
  get usable(): boolean {
    return this.link.lifecycle.takesCalls;
  }

  get requestsFull(): boolean {
    return this.link.requests.full;
  }

  /** A request of this side was answered, if only with an error. */
  get answered(): boolean {
    return this.link.inbox.answered;
  }

  send(body: Uint8Array): Promise<void> {
    const { outbox } = this.link;
    outbox.checkBody(body);
    const refusal = outbox.refusal(body.length);
    if (refusal !== undefined) return this.#refused(refusal);
    outbox.sender.append(0, Kind.message, body);
    return outbox.sender.handedToKernel();
  }

  sendNoWait(body: Uint8Array): boolean {
    const { lifecycle, outbox } = this.link;
    outbox.checkBody(body);
    if (!lifecycle.takesCalls) return false;
    if (outbox.aboveHighWater) {
      this.#tellFull("ERR_BACKPRESSURE");
      return false;
    }
    outbox.sender.append(0, Kind.message, body);
    return true;
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    if (!tracesRequests()) return this.#request(body, options);
    const context = { connection: this, bodyBytes: body?.byteLength };
    return traceRequest(() => this.#request(body, options), context);
  }

  #request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    const { outbox, requests } = this.link;
    outbox.checkBody(body);
    let timeoutMs = this.#requestTimeoutMs;
    let signal: AbortSignal | undefined;
    let into: Uint8Array | undefined;
    if (options !== undefined) {
      ({ signal, into } = checkRequestOptions(options));
      timeoutMs = options.timeoutMs ?? timeoutMs;
      if (signal?.aborted) {
        const cause = signal.reason;
        return Promise.reject(new SealwireError("ERR_ABORTED", "the request was aborted", { cause }));
      }
    }
    const refusal = outbox.refusal(body.length) ?? this.#tooMany();
    if (refusal !== undefined) return this.#refused(refusal);
    const request = new PendingRequest(requests, into, timeoutMs);
    // First, since a signal that is not the runtime's may throw.
    if (signal !== undefined) request.watch(signal);
    const sequence = requests.add(request);
    this.#requests++;
    outbox.sender.append(sequence, Kind.message, body);
    if (timeoutMs > 0) timers.arm(request, timeoutMs);
    return request.answer;
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

  #refused(error: SealwireError): Promise<never> {
    if (error.code === "ERR_BACKPRESSURE" || error.code === "ERR_TOO_MANY_REQUESTS")
      this.#tellFull(error.code);
    return Promise.reject(error);
  }

  #tellFull(code: ErrorCode): void {
    if (channels.queueFull.hasSubscribers) channels.queueFull.publish({ connection: this, code });
  }

  #tooMany(): SealwireError | undefined {
    const { requests } = this.link;
    if (!requests.full) return undefined;
    const text = `${requests.size} requests are in flight on this connection`;
    return new SealwireError("ERR_TOO_MANY_REQUESTS", text);
  }
}

function checkRequestOptions(options: RequestOptions): RequestOptions {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object");
  const { signal, timeoutMs, into } = options;
  if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument("signal", "an AbortSignal");
  if (into !== undefined) requireBytes("into", into);
  if (timeoutMs !== undefined) integerOption("timeoutMs", timeoutMs, 0, 0x7fffffff);
  return options;
}
