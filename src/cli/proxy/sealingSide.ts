// proxy --seal: takes plain connections, and makes one call to the opening side for each.

import { SealwireError } from "../../base/errors.ts";
import { type Client, type ClientOptions, connect } from "../../index.ts";
import { ConsoleReport } from "../../rpc/listeners.ts";
import type { AllKeys } from "../otherKeyFlags.ts";
import { errorText } from "../output.ts";
import type { PlainSocket } from "./plainSocket.ts";
import type { ProxyCounts } from "./proxyStatus.ts";
import { PROXY_METHOD, relayClient } from "./relay.ts";

const NO_BODY = new Uint8Array(0);
/** A client's `maxInFlightRequests` is never below the least `maxRequests` of a server. */
const LEAST_IN_FLIGHT = 128;

const failures = new ConsoleReport("sealwire: a proxied connection was cut:");

export type SealingOptions = Required<
  Pick<ClientOptions, "endpoints" | "maxConnections" | "dialTimeoutMs" | "drainTimeoutMs">
> & { readonly most: number };

export class SealingSide {
  readonly #options: SealingOptions;
  readonly #counts: ProxyCounts;
  /** One for each connection that is open. */
  readonly #aborts = new Set<AbortController>();
  readonly #running = new Set<Promise<void>>();
  #client: Client;

  constructor(options: SealingOptions, keys: AllKeys, counts: ProxyCounts) {
    this.#options = options;
    this.#counts = counts;
    this.#client = this.#connect(keys);
  }

  get stats(): object {
    return this.#client.stats;
  }

  #connect(keys: AllKeys): Client {
    const { most, dialTimeoutMs, ...options } = this.#options;
    return connect({
      ...options,
      ...keys,
      dialTimeoutMs,
      handshakeTimeoutMs: dialTimeoutMs,
      requestTimeoutMs: 0,
      maxInFlightRequests: Math.max(most, LEAST_IN_FLIGHT),
    });
  }

  /** Takes a plain connection, or cuts it if there are too many. Never throws. */
  accept(plain: PlainSocket): void {
    if (this.#counts.open >= this.#options.most) {
      this.#counts.refused++;
      plain.reset();
      return;
    }
    const carried = this.#carry(plain);
    this.#running.add(carried);
    carried.finally(() => this.#running.delete(carried));
  }

  async #carry(plain: PlainSocket): Promise<void> {
    const abort = new AbortController();
    // The call may be over, while its client has not read everything.
    abort.signal.addEventListener("abort", () => plain.reset());
    this.#aborts.add(abort);
    this.#counts.open++;
    this.#counts.total++;
    try {
      const head = { method: PROXY_METHOD };
      const call = this.#client.call(NO_BODY, { head, timeoutMs: 0, signal: abort.signal });
      const stream = {
        items: call,
        write: (item: Uint8Array) => call.write(item),
        end: () => call.end(),
        answer: () => call.answer,
      };
      await relayClient(plain, stream, this.#counts.moved);
    } catch (error) {
      this.#counts.failed++;
      failures.say(errorText(error));
      abort.abort(error);
    } finally {
      this.#counts.open--;
      this.#aborts.delete(abort);
    }
  }

  /** New connections use these keys from now on. Open ones continue. */
  reload(keys: AllKeys): void {
    const before = this.#client;
    this.#client = this.#connect(keys);
    // The old client ends when its last connection is over, however long that takes.
    Promise.all(this.#running).then(() => before.close());
  }

  /** Lets connections end for as long as the client drains, then cuts them. */
  async close(): Promise<void> {
    const late = setTimeout(() => this.cut(), this.#options.drainTimeoutMs);
    await Promise.all(this.#running);
    clearTimeout(late);
    await this.#client.close();
  }

  cut(): void {
    const reason = new SealwireError("ERR_CLOSED", "the proxy ends");
    for (const abort of this.#aborts) abort.abort(reason);
  }
}
