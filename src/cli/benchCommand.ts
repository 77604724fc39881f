// bench: measures requests per second and latency against a server.

import { buildCommand } from "@stricli/core";
import {
  RoundTrips,
  roundTrip,
  type Target,
  targetPositional,
  trustExample,
  withClient,
} from "./dialling.ts";
import { note, ProgressLine, result } from "./output.ts";
import { type PeerFlags, peerFlags, wholeNumber } from "./peerFlags.ts";

interface BenchFlags extends PeerFlags {
  readonly seconds: number;
  readonly size: number;
  readonly parallel: number;
  readonly connections: number;
}

export const bench = buildCommand({
  docs: {
    brief: "Measure requests per second and latency against a server",
    fullDescription: `Keeps requests in flight for some seconds against a server that echoes (sealwire serve --echo).\n\nExamples:\n  sealwire bench localhost:7000 --psk shared.psk\n  sealwire bench db:7000 ${trustExample} -s 65536 -p 8 -t 10 --json`,
  },
  parameters: {
    flags: {
      ...peerFlags,
      seconds: {
        kind: "parsed",
        parse: wholeNumber(1, 3_600, "seconds"),
        brief: "How long",
        default: "5",
        placeholder: "S",
      },
      size: {
        kind: "parsed",
        parse: wholeNumber(0, 1_048_576),
        brief: "Bytes of each request",
        default: "128",
        placeholder: "BYTES",
      },
      parallel: {
        kind: "parsed",
        parse: wholeNumber(1, 1_024),
        brief: "Requests in flight",
        default: "32",
        placeholder: "N",
      },
      connections: {
        kind: "parsed",
        parse: wholeNumber(1, 64),
        brief: "Connections at most",
        default: "1",
        placeholder: "N",
      },
    },
    aliases: { s: "size", p: "parallel", t: "seconds" },
    positional: targetPositional,
  },
  func(flags: BenchFlags, address: Target) {
    return withClient(flags, address, flags.connections, async (client) => {
      await client.connected();
      const trips = new RoundTrips();
      const progress = new ProgressLine(flags);
      const body = new Uint8Array(flags.size);
      const start = performance.now();
      const end = start + flags.seconds * 1_000;
      const elapsed = (): number => (performance.now() - start) / 1_000;
      const ticking = setInterval(
        () => progress.show(`${Math.round(trips.count / elapsed())} requests/s, ${trips.text}`),
        500,
      );
      const work = async (): Promise<void> => {
        while (performance.now() < end) trips.add(await roundTrip(client, body));
      };
      try {
        await Promise.all(Array.from({ length: flags.parallel }, work));
      } finally {
        clearInterval(ticking);
        progress.clear();
      }
      const seconds = elapsed();
      const perSecond = trips.count / seconds;
      const megabytes = (perSecond * flags.size) / 1e6;
      const record = {
        requestsPerSecond: perSecond,
        megabytesPerSecond: megabytes,
        seconds,
        bytes: flags.size,
        ...trips.record,
      };
      note(flags, `${flags.parallel} in flight, ${flags.size} bytes, ${seconds.toFixed(1)} s`);
      result(
        flags,
        record,
        `${Math.round(perSecond)} requests/s, ${megabytes.toFixed(1)} MB/s each way, ${trips.text}`,
      );
    });
  },
});
