// serve --echo: a server to try things against.

import process from "node:process";
import { buildCommand } from "@stricli/core";
import { listen, type Message } from "../index.ts";
import { CommandError } from "./exitCodes.ts";
import { errorText, note, result } from "./output.ts";
import { addressOf, describePeer, type PeerFlags, peerFlags, peerOptions, wipeOptions } from "./peerFlags.ts";

interface ServeFlags extends PeerFlags {
  readonly echo: boolean;
  readonly stat: boolean;
  readonly listen: ReturnType<typeof addressOf>;
}

/** Resolves when somebody asks the process to end. */
function endAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

function echo(message: Message): void {
  if (message.expectsReply) message.reply(message.body);
}

export const serve = buildCommand({
  docs: {
    brief: "Run a server that echoes requests",
    fullDescription:
      "Listens until it is interrupted, then closes in good order.\n\nExamples:\n  sealwire serve --echo --psk shared.psk\n  sealwire serve --echo --listen 0.0.0.0:7000 --key server.key --peer PUBLIC-KEY-OF-A-CLIENT",
  },
  parameters: {
    flags: {
      ...peerFlags,
      echo: { kind: "boolean", brief: "Answer every request with its own bytes", default: false },
      stat: { kind: "boolean", brief: "Let peers ask for counters (sealwire stat)", default: false },
      listen: {
        kind: "parsed",
        parse: addressOf,
        brief: "HOST:PORT (0: any free port) or unix:PATH",
        default: "127.0.0.1:7000",
        placeholder: "ADDRESS",
      },
    },
    aliases: { l: "listen" },
  },
  async func(flags: ServeFlags) {
    if (!flags.echo) throw new CommandError("usage", "say what to serve: --echo");
    const options = peerOptions(flags);
    const ended = endAsked();
    const server = await listen({
      ...flags.listen,
      ...options,
      handshakeTimeoutMs: flags.timeout,
      onMessage: echo,
      stat: flags.stat && (() => true),
      onConnectionState: (connection, state, error) => {
        const { remoteAddress } = connection;
        const peer = describePeer(connection);
        const reason = error === undefined ? "" : `: ${errorText(error)}`;
        if (flags.json) result(flags, { event: state, remoteAddress, peer, error: error?.code }, "");
        else note(flags, `${state} ${remoteAddress} (${peer})${reason}`);
      },
    });
    wipeOptions(options);
    const where = server.path ?? `${"host" in flags.listen ? flags.listen.host : ""}:${server.port}`;
    result(flags, { event: "listening", port: server.port, path: server.path }, `listening on ${where}`);
    await ended;
    await server.close();
  },
});
