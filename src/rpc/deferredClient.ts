// What `connect` and `sticky` give to callers of several endpoints. Both are there at once; what makes the calls is loaded
// by the first of them (loadedClient.ts).

import { invalidArgument } from "../base/errors.ts";
import { callOptionNames, requestOptionNames, sendOptionNames } from "./callOptions.ts";
import type { ClientStats } from "./client.ts";
import { abortedError, closedError } from "./clientErrors.ts";
import { type ConnectedOptions, connectedWithin } from "./connectedWithin.ts";
import { type CopyingFunctions, copyingFunctions } from "./copyingCaller.ts";
import type { EndpointsContext } from "./endpointSet.ts";
import { keptOptions } from "./keptOptions.ts";
import { LaterCall } from "./laterCall.ts";
import { LoadedClient } from "./loadedClient.ts";
import type { Call, CallOptions, Connection, RequestOptions, SendOptions } from "./peer.ts";
import type { Caller, StickyClient } from "./stickyClient.ts";

/** Calls of a client, or those of one of its keys. */
class DeferredCaller implements Caller {
  readonly #loaded: LoadedClient;
  readonly #key: string | undefined;

  constructor(loaded: LoadedClient, key: string | undefined) {
    this.#loaded = loaded;
    this.#key = key;
  }

  get [copyingFunctions](): CopyingFunctions {
    return ownFunctions;
  }

  send(body: Uint8Array, options?: SendOptions): Promise<void> {
    const { now, isClosed } = this.#loaded;
    if (now !== undefined) return now.send(this.#key, body, options);
    if (isClosed) return Promise.reject(closedError());
    const kept = options === undefined ? undefined : keptOptions(options, sendOptionNames);
    return this.#loaded.later(body, 0, undefined, (client, copy) => client.send(this.#key, copy, kept));
  }

  sendNoWait(body: Uint8Array): boolean {
    return this.#loaded.now?.sendNoWait(this.#key, body) ?? this.#loaded.prepare(body);
  }

  request(body: Uint8Array, options?: RequestOptions): Promise<Uint8Array> {
    const { now, isClosed, limits } = this.#loaded;
    if (now !== undefined) return now.request(this.#key, body, options);
    if (isClosed) return Promise.reject(closedError());
    const kept = options === undefined ? {} : keptOptions(options, requestOptionNames);
    const { signal, timeoutMs = limits.requestTimeoutMs } = kept;
    if (signal?.aborted) return Promise.reject(abortedError(signal));
    return this.#loaded.later(body, timeoutMs, signal, (client, copy, leftMs) =>
      client.request(this.#key, copy, { ...kept, timeoutMs: leftMs }),
    );
  }

  call(body: Uint8Array, options: CallOptions = {}): Call {
    const { now, isClosed, limits } = this.#loaded;
    if (now !== undefined) return now.call(this.#key, body, options);
    if (isClosed) throw closedError();
    const kept = keptOptions(options, callOptionNames);
    const { signal, timeoutMs = limits.requestTimeoutMs } = kept;
    return new LaterCall(
      this.#loaded.later(body, timeoutMs, signal, (client, copy, leftMs) =>
        client.call(this.#key, copy, { ...kept, timeoutMs: leftMs }),
      ),
      limits.maxPendingBytes,
    );
  }

  connected(options?: ConnectedOptions): Promise<Connection> {
    return connectedWithin(async () => {
      const client = this.#loaded.now ?? (await this.#loaded.wait(0, 0, undefined));
      return client.connected(this.#key);
    }, options);
  }
}

const { call, send } = DeferredCaller.prototype;
const ownFunctions: CopyingFunctions = { call, send };

export class DeferredClient extends DeferredCaller implements StickyClient {
  readonly #loaded: LoadedClient;

  constructor(context: EndpointsContext) {
    const loaded = new LoadedClient(context);
    super(loaded, undefined);
    this.#loaded = loaded;
    loaded.start(this);
  }

  get anonymous(): boolean {
    return this.#loaded.anonymous;
  }

  get connections(): readonly Connection[] {
    return this.#loaded.now?.connections ?? [];
  }

  get stats(): ClientStats {
    return this.#loaded.stats;
  }

  sticky(key: string): Caller {
    if (typeof key !== "string") throw invalidArgument("key", "a string");
    const keyed = new DeferredCaller(this.#loaded, key);
    const functions: CopyingFunctions = {
      send: (body, options) => keyed.send(body, options),
      call: (body, options) => keyed.call(body, options),
    };
    const caller: Caller = {
      ...functions,
      sendNoWait: (body) => keyed.sendNoWait(body),
      request: (body, options) => keyed.request(body, options),
      connected: (options) => keyed.connected(options),
    };
    return Object.defineProperty(caller, copyingFunctions, { value: functions });
  }

  ref(): void {
    this.#loaded.keepAlive(true);
  }

  unref(): void {
    this.#loaded.keepAlive(false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    return this.#loaded.close();
  }
}
