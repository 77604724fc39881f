// ping and send: commands that dial a server.

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { buildCommand } from "@stricli/core";
import { encodeKey } from "../protocol/noise/keys.ts";
import { readToEnd } from "./descriptorInput.ts";
import {
  msText,
  RoundTrips,
  roundTrip,
  type Target,
  targetPositional,
  trustExample,
  withClient,
} from "./dialling.ts";
import { CommandError } from "./exitCodes.ts";
import { Interrupt } from "./interrupt.ts";
import { ProgressLine, result } from "./output.ts";
import { type PeerFlags, peerFlags, wholeNumber } from "./peerFlags.ts";

interface PingFlags extends PeerFlags {
  readonly count: number;
  readonly interval: number;
  readonly size: number;
}

export const ping = buildCommand({
  docs: {
    brief: "Dial a server and measure round trips",
    fullDescription: `Shakes hands, then sends requests one after the other. A server that refuses the call has answered, too. Ctrl-C ends it with the summary of what was measured (exit code 130).\n\nExamples:\n  sealwire ping localhost:7000 --psk shared.psk\n  sealwire ping db:7000 ${trustExample} -c 10 -i 100 --json`,
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
        parse: wholeNumber(0, 3.6e6, "milliseconds"),
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
    positional: targetPositional,
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
      const interrupt = new Interrupt();
      try {
        for (let i = 1; i <= flags.count && !interrupt.came; i++) {
          const nanoseconds = await interrupt.orCame(roundTrip(client, body));
          if (nanoseconds === undefined) break;
          trips.add(nanoseconds);
          result(
            flags,
            { event: "answer", sequence: i, ms: nanoseconds / 1e6 },
            `${i}: ${msText(nanoseconds)}`,
          );
          if (i < flags.count && flags.interval > 0) {
            progress.show(trips.text);
            await interrupt.orCame(delay(flags.interval));
            progress.clear();
          }
        }
      } finally {
        interrupt.end();
      }
      result(flags, { event: "summary", ...trips.record }, `${trips.count} round trips: ${trips.text}`);
      if (interrupt.came) await interrupt.exit();
    });
  },
});

interface SendFlags extends PeerFlags {
  readonly data: string;
  readonly request: boolean;
}

/** The bytes that the flag --data means. */
export function dataOf(source: string): Uint8Array {
  try {
    if (source === "-") return readToEnd(0);
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
    positional: targetPositional,
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
