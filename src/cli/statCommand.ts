// stat: prints the counters of a server that allows its peer to ask.

import { buildCommand } from "@stricli/core";
import { oneLine } from "../core/text.ts";
import { STAT_METHOD } from "../rpc/statMethod.ts";
import { type Target, targetPositional, trustExample, withClient } from "./dialling.ts";
import { CommandError } from "./exitCodes.ts";
import { result } from "./output.ts";
import { type PeerFlags, peerFlags } from "./peerFlags.ts";

const NO_BODY = new Uint8Array(0);
/** Of the counters in an answer. Those of sealwire have 3. */
const MOST_LEVELS = 16;

function noCounters(): CommandError {
  return new CommandError(
    "remote",
    "the server answered, but tells no counters (its option `stat` is off: `sealwire serve` has --stat)",
  );
}

/** The object in an answer, if the peer sent one. */
function objectIn(body: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below: an echo server, or an application that answers every request.
  }
  throw noCounters();
}

/** One line per counter; nested counters have their own names. */
function linesOf(record: Record<string, unknown>, levels = MOST_LEVELS): string[] {
  if (levels === 0) throw noCounters();
  return Object.entries(record).flatMap(([name, value]) => {
    if (typeof value === "object" && value !== null)
      return linesOf(value as Record<string, unknown>, levels - 1);
    return [`${oneLine(name)} ${typeof value === "number" ? Math.round(value) : oneLine(String(value))}`];
  });
}

export const stat = buildCommand({
  docs: {
    brief: "Show the counters of a server that allows it",
    fullDescription: `Asks a server that was given the option stat (sealwire serve --stat). Counters never go down; gauges say how things are now.\n\nExamples:\n  sealwire stat localhost:7000 --psk shared.psk\n  sealwire stat db:7000 ${trustExample} --json`,
  },
  parameters: { flags: peerFlags, positional: targetPositional },
  func(flags: PeerFlags, address: Target) {
    return withClient(flags, address, 1, async (client) => {
      const call = client.call(NO_BODY, { head: { method: STAT_METHOD } });
      call.end();
      const record = objectIn(await call.answer);
      result(flags, record, linesOf(record).join("\n"));
    });
  },
});
