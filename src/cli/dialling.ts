// The commands that dial share this code: a client for the time of the command, and its round trips.

import { createHistogram } from "node:perf_hooks";
import { SealwireError } from "../base/errors.ts";
import { type Client, connect } from "../index.ts";
import { type addressOf, type PeerFlags, peerOptions, targetParameter, wipeOptions } from "./peerFlags.ts";

export type Target = ReturnType<typeof addressOf>;

export const targetPositional = { kind: "tuple", parameters: [targetParameter] } as const;
/** Part of the examples in help texts. */
export const trustExample = "--key client.key --peer PUBLIC-KEY-OF-THE-SERVER";

/** Runs `use` with a client, and closes the client afterwards. */
export async function withClient<T>(
  flags: PeerFlags,
  address: Target,
  connections: number,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const options = peerOptions(flags);
  const { timeout } = flags;
  try {
    const client = connect({
      ...address,
      ...options,
      maxConnections: connections,
      dialTimeoutMs: timeout,
      handshakeTimeoutMs: timeout,
      requestTimeoutMs: timeout,
      drainTimeoutMs: timeout,
    });
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  } finally {
    wipeOptions(options);
  }
}

export const msText = (nanoseconds: number): string =>
  `${(nanoseconds / 1e6).toFixed(nanoseconds < 1e7 ? 3 : 1)} ms`;

/** Round trips, in nanoseconds. */
export class RoundTrips {
  readonly #histogram = createHistogram();

  add(nanoseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(nanoseconds)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  get record(): object {
    const at = (percentile: number): number => this.#histogram.percentile(percentile) / 1e6;
    const { count, min, max, mean } = this.#histogram;
    if (count === 0) return { count };
    return { count, minMs: min / 1e6, medianMs: at(50), p99Ms: at(99), maxMs: max / 1e6, meanMs: mean / 1e6 };
  }

  get text(): string {
    if (this.count === 0) return "no round trip";
    const { min, max } = this.#histogram;
    const [median, p99] = [this.#histogram.percentile(50), this.#histogram.percentile(99)];
    return `min ${msText(min)}, median ${msText(median)}, 99 % ${msText(p99)}, max ${msText(max)}`;
  }
}

/** Makes a request whose answer may be an error, because a peer that refuses a call has answered it. */
export async function roundTrip(client: Client, body: Uint8Array): Promise<number> {
  const start = performance.now();
  try {
    await client.request(body);
  } catch (error) {
    if (!(error instanceof SealwireError && error.code === "ERR_REMOTE")) throw error;
  }
  return (performance.now() - start) * 1e6;
}
