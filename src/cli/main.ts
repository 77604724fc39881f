#!/usr/bin/env node
// The command line: `npx sealwire`, `bunx sealwire`, `deno run npm:sealwire`.

import process from "node:process";
import { type ApplicationText, buildApplication, buildRouteMap, run, text_en } from "@stricli/core";
import { bench } from "./benchCommand.ts";
import { ping, send } from "./callCommands.ts";
import { call } from "./callMethod.ts";
import { doctor } from "./doctorCommand.ts";
import { exitCodeOf, exitCodes } from "./exitCodes.ts";
import { fingerprint, genpsk, keygen, pubkey } from "./keyCommands.ts";
import { errorText, jsonLine } from "./output.ts";
import { peersCommands } from "./peersCommands.ts";
import { proxy } from "./proxyCommand.ts";
import { serve } from "./serveCommand.ts";
import { stat } from "./statCommand.ts";
import { packageVersion } from "./version.ts";

const routes = {
  keygen,
  pubkey,
  genpsk,
  fingerprint,
  peers: peersCommands,
  serve,
  proxy,
  ping,
  stat,
  send,
  call,
  bench,
  doctor,
};

const root = buildRouteMap({
  docs: {
    brief: "Encrypted RPC over TCP: keys, calls, a server to try, a proxy for any service, measurements",
    fullDescription: [
      "Encrypted RPC over TCP: keys, calls, a server to try, a proxy for any service, measurements.",
      "",
      "Secrets are read from files, descriptors (fd:3), standard input (-) or the environment (env:NAME), never from",
      "arguments. NO_COLOR switches colours off. --json gives one JSON value per line.",
      "",
      "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 a file (exists, unreadable, open to others); 4 no connection;",
      "5 one side does not accept the other; 6 the peer answered with an error or too late; 130 Ctrl-C.",
    ].join("\n"),
  },
  routes,
});

const inputs = process.argv.slice(2);
const asJson = inputs.includes("--json");

function sayError(error: unknown): string {
  const message = errorText(error);
  if (!asJson) return `sealwire: ${message}`;
  const { code } = error as { code?: string };
  return jsonLine({ error: { code, exit: exitCodeOf(error), message } });
}

/** A mistake in the arguments, which the parser describes, and the command that shows how they are meant. */
function sayMistake(message: string): string {
  if (asJson) return jsonLine({ error: { exit: exitCodes.usage, message } });
  const command = inputs[0] !== undefined && Object.hasOwn(routes, inputs[0]) ? ` ${inputs[0]}` : "";
  return `sealwire: ${message}\nsealwire${command} --help shows how it is used`;
}

const text: ApplicationText = {
  ...text_en,
  noCommandRegisteredForInput: (args) => sayMistake(text_en.noCommandRegisteredForInput(args)),
  exceptionWhileParsingArguments: (error, colour) =>
    sayMistake(text_en.exceptionWhileParsingArguments(error, colour)),
  exceptionWhileRunningCommand: sayError,
  commandErrorResult: sayError,
};

const application = buildApplication(root, {
  name: "sealwire",
  versionInfo: { currentVersion: packageVersion },
  scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
  documentation: {
    caseStyle: "convert-camel-to-kebab",
    useAliasInUsageLine: false,
    onlyRequiredInUsageLine: true,
  },
  localization: { text },
  determineExitCode: exitCodeOf,
});

/** Others depend on these commands, whether or not somebody still reads what they print. */
const servesOn = inputs[0] === "serve" || inputs[0] === "proxy";

// A reader that stops early (`sealwire peers list | head -1`) is no error.
process.stdout.on("error", (error: { code?: string }) => {
  if (servesOn) return;
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

// What is said there is for people only.
process.stderr.on("error", () => {});

/** A stream in the form that the parser expects. Deno claims colours for pipes, too. */
function streamOf(stream: NodeJS.WriteStream) {
  return {
    write: (text: string) => void stream.write(text),
    getColorDepth: (env?: object) => (stream.isTTY === true ? stream.getColorDepth(env) : 1),
  };
}

const streams = { stdout: streamOf(process.stdout), stderr: streamOf(process.stderr), env: process.env };
const outcome: typeof streams & { exitCode?: number | string | null } = streams;
await run(application, inputs.length === 0 ? ["--help"] : inputs, { process: outcome });
// The parser uses negative codes for mistakes in arguments.
const exitCode = Number(outcome.exitCode ?? exitCodes.ok);
process.exitCode = exitCode < 0 ? exitCodes.usage : exitCode;
