// The counters and gauges of clients and servers as observable instruments.

import {
  type BatchObservableCallback,
  type MeterProvider,
  metrics,
  type Observable,
} from "@opentelemetry/api";
import type { ClientStats } from "../rpc/client.ts";
import type { ServerStats } from "../rpc/serverInterface.ts";

type Name = Exclude<keyof ServerStats | keyof ClientStats, "endpoints">;

const counters: Partial<Record<Name, string>> = {
  receivedBytes: "By",
  sentBytes: "By",
  requests: "{request}",
  droppedReplies: "{reply}",
  openedConnections: "{connection}",
  failedConnections: "{connection}",
  refusedConnections: "{connection}",
  droppedSockets: "{socket}",
  acceptFailures: "{failure}",
};
const gauges: Partial<Record<Name, string>> = {
  connections: "{connection}",
  inFlightRequests: "{request}",
  pendingBytes: "By",
  waitingSockets: "{socket}",
};

/** receivedBytes: sealwire.received_bytes */
const instrumentName = (name: string): string =>
  `sealwire.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;

/**
 * Reports `stats` of a client or server whenever metrics are collected, as `sealwire.received_bytes` and so on, with
 * the attribute `sealwire.name`.
 *
 * @param name distinguishes the clients and servers of one process
 * @returns a function that stops it
 */
export function observeStats(
  name: string,
  observed: { readonly stats: ServerStats | ClientStats },
  { meterProvider }: { meterProvider?: MeterProvider } = {},
): () => void {
  const meter = (meterProvider ?? metrics).getMeter("sealwire");
  const attributes = { "sealwire.name": name };
  const instruments = new Map<string, Observable>();
  for (const [stat, unit] of Object.entries(counters))
    instruments.set(stat, meter.createObservableCounter(instrumentName(stat), { unit }));
  for (const [stat, unit] of Object.entries(gauges))
    instruments.set(stat, meter.createObservableUpDownCounter(instrumentName(stat), { unit }));
  const all = [...instruments.values()];
  const observe: BatchObservableCallback = (result): void => {
    for (const [stat, value] of Object.entries(observed.stats)) {
      const instrument = instruments.get(stat);
      if (instrument !== undefined && typeof value === "number")
        result.observe(instrument, value, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}
