// Commands that dial: ping, send, bench.

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { createHistogram } from "node:perf_hooks";
import process from "node:process";
import { buildCommand } from "@stricli/core";
import { SealwireError } from "../base/errors.ts";
import { type Client, connect } from "../index.ts";
import { encodeKey } from "../protocol/noise/keys.ts";
import { CommandError } from "./exitCodes.ts";
import { note, ProgressLine, result } from "./output.ts";
import {
  type addressOf,
  type PeerFlags,
  peerFlags,
  peerOptions,
  targetParameter,
  wholeNumber,
  wipeOptions,
} from "./peerFlags.ts";

type Target = ReturnType<typeof addressOf>;

const target = { kind: "tuple", parameters: [targetParameter] } as const;
const trustExample = "--key client.key --peer PUBLIC-KEY-OF-THE-SERVER";

async function withClient<T>(
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

const ms = (nanoseconds: number): string => `${(nanoseconds / 1e6).toFixed(nanoseconds < 1e7 ? 3 : 1)} ms`;

/** Round trips, in nanoseconds. */
class RoundTrips {
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
    return `min ${ms(min)}, median ${ms(median)}, 99 % ${ms(p99)}, max ${ms(max)}`;
  }
}

/** A request whose answer may be an error: a peer that refuses a call has answered it. */
async function roundTrip(client: Client, body: Uint8Array): Promise<number> {
  const start = performance.now();
  try {
    await client.request(body);
  } catch (error) {
    if (!(error instanceof SealwireError && error.code === "ERR_REMOTE")) throw error;
  }
  return (performance.now() - start) * 1e6;
}

interface PingFlags extends PeerFlags {
  readonly count: number;
  readonly interval: number;
  readonly size: number;
}

export const ping = buildCommand({
  docs: {
    brief: "Dial a server and measure round trips",
    fullDescription: `Shakes hands, then sends requests one after the other. A server that refuses the call has answered, too.\n\nExamples:\n  sealwire ping localhost:7000 --psk shared.psk\n  sealwire ping db:7000 ${trustExample} -c 10 -i 100 --json`,
  },
  parameters: {
    flags: {
      ...peerFlags,
      count: {
        kind: "parsed",
        parse: wholeNumber(1, 1e6),
        brief: "Round trips",
        default: "5",
        placeholder: "N",
      },
      interval: {
        kind: "parsed",
        parse: wholeNumber(0, 3.6e6),
        brief: "Milliseconds between them",
        default: "1000",
        placeholder: "MS",
      },
      size: {
        kind: "parsed",
        parse: wholeNumber(0, 65_536),
        brief: "Bytes of each request",
        default: "32",
        placeholder: "BYTES",
      },
    },
    aliases: { c: "count", i: "interval", s: "size" },
    positional: target,
  },
  func(flags: PingFlags, address: Target) {
    return withClient(flags, address, 1, async (client) => {
      const start = performance.now();
      const connection = await client.connected();
      const handshakeMs = performance.now() - start;
      const { authenticated, remoteStaticKey } = connection;
      const peer = remoteStaticKey === undefined ? undefined : encodeKey(remoteStaticKey);
      const who = authenticated ? (peer ?? "holds the pre-shared key") : "could be anyone";
      result(
        flags,
        { event: "connected", handshakeMs, authenticated, peer },
        `connected in ${handshakeMs.toFixed(1)} ms; the peer ${who}`,
      );
      const trips = new RoundTrips();
      const progress = new ProgressLine(flags);
      const body = new Uint8Array(flags.size);
      for (let i = 1; i <= flags.count; i++) {
        const nanoseconds = await roundTrip(client, body);
        trips.add(nanoseconds);
        result(flags, { event: "answer", sequence: i, ms: nanoseconds / 1e6 }, `${i}: ${ms(nanoseconds)}`);
        if (i < flags.count && flags.interval > 0) {
          progress.show(trips.text);
          await new Promise((resolve) => setTimeout(resolve, flags.interval));
          progress.clear();
        }
      }
      result(flags, { event: "summary", ...trips.record }, `${trips.count} round trips: ${trips.text}`);
    });
  },
});

interface SendFlags extends PeerFlags {
  readonly data: string;
  readonly request: boolean;
}

function dataOf(source: string): Uint8Array {
  try {
    if (source === "-") return readFileSync(0);
    if (source.startsWith("@")) return readFileSync(source.slice(1));
  } catch (cause) {
    throw new CommandError("file", `${source} can't be read`, { cause });
  }
  return Buffer.from(source);
}

export const send = buildCommand({
  docs: {
    brief: "Send one message, or a request whose answer is printed",
    fullDescription: `Sends standard input, a file or a text as one message. With --request the answer's bytes go to standard output (as base64 with --json).\n\nExamples:\n  echo hello | sealwire send localhost:7000 --psk shared.psk --request\n  sealwire send db:7000 ${trustExample} --data @job.bin`,
  },
  parameters: {
    flags: {
      ...peerFlags,
      data: {
        kind: "parsed",
        parse: String,
        brief: "A text, @FILE, or - (standard input)",
        default: "-",
        placeholder: "DATA",
      },
      request: { kind: "boolean", brief: "Wait for the answer and print it", default: false },
    },
    aliases: { d: "data", r: "request" },
    positional: target,
  },
  func(flags: SendFlags, address: Target) {
    return withClient(flags, address, 1, async (client) => {
      const body = dataOf(flags.data);
      if (!flags.request) {
        await client.send(body);
        if (flags.json) result(flags, { sentBytes: body.length }, "");
        return;
      }
      const answer = Buffer.from(await client.request(body));
      if (flags.json)
        result(
          flags,
          { sentBytes: body.length, answerBytes: answer.length, answer: answer.toString("base64") },
          "",
        );
      else await new Promise<void>((written) => process.stdout.write(answer, () => written()));
    });
  },
});

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
        parse: wholeNumber(1, 3_600),
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
    positional: target,
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
