// serve --echo: a server to test clients against.

import process from "node:process";
import { buildCommand } from "@stricli/core";
import type { SealwireError } from "../base/errors.ts";
import { type Connection, listen, type Message, type Server } from "../index.ts";
import { CommandError } from "./exitCodes.ts";
import { onFirstSignal } from "./interrupt.ts";
import { type AllKeys, allKeys, type OtherKeyFlags, otherKeyFlags, wipeAllKeys } from "./otherKeyFlags.ts";
import { errorText, note, result } from "./output.ts";
import { addressOf, describePeer, type PeerFlags, peerFlags } from "./peerFlags.ts";
import { SecretSources } from "./secrets.ts";

interface ServeFlags extends PeerFlags, OtherKeyFlags {
  readonly echo: boolean;
  readonly stat: boolean;
  readonly listen: ReturnType<typeof addressOf>;
}

/** Resolves when the process is asked to end. If it is asked again, it ends at once. */
function endAsked(): Promise<void> {
  return new Promise((resolve) => void onFirstSignal(["SIGINT", "SIGTERM"], resolve));
}

/** On SIGHUP, reads all keys again. A mistake is reported, and changes nothing. Returns a function that ends this. */
function reloadOnHangUp(flags: ServeFlags, sources: SecretSources, server: Server): () => void {
  const reload = async (): Promise<void> => {
    let options: AllKeys | undefined;
    try {
      options = allKeys(flags, (source) => sources.read(source));
      const drained = await server.reload(options);
      if (flags.json) result(flags, { event: "reloaded", drained }, "");
      else note(flags, `read the keys again; connections that are drained since theirs are gone: ${drained}`);
    } catch (error) {
      if (flags.json) result(flags, { event: "reload failed", error: errorText(error) }, "");
      else note(flags, `the keys stay as they were: ${errorText(error)}`);
    } finally {
      if (options !== undefined) wipeAllKeys(options);
    }
  };
  const onHangUp = (): void => void reload();
  process.on("SIGHUP", onHangUp);
  return () => process.off("SIGHUP", onHangUp);
}

function echo(message: Message): void {
  if (message.expectsReply) message.reply(message.body);
}

function tell(
  flags: ServeFlags,
  connection: Connection,
  state: string,
  error: SealwireError | undefined,
): void {
  const { remoteAddress } = connection;
  const peer = describePeer(connection);
  const reason = error === undefined ? "" : `: ${errorText(error)}`;
  if (flags.json) result(flags, { event: state, remoteAddress, peer, error: error?.code }, "");
  else note(flags, `${state} ${remoteAddress} (${peer})${reason}`);
}

async function run(flags: ServeFlags, sources: SecretSources): Promise<void> {
  const options = allKeys(flags, (source) => sources.read(source));
  const ended = endAsked();
  const server = await listen({
    ...flags.listen,
    ...options,
    handshakeTimeoutMs: flags.timeout,
    onMessage: echo,
    stat: flags.stat && (() => true),
    onConnectionState: (connection, state, error) => tell(flags, connection, state, error),
  }).finally(() => wipeAllKeys(options));
  const endReloads = reloadOnHangUp(flags, sources, server);
  const where = server.path ?? `${"host" in flags.listen ? flags.listen.host : ""}:${server.port}`;
  result(flags, { event: "listening", port: server.port, path: server.path }, `listening on ${where}`);
  await ended;
  await server.close();
  endReloads();
}

export const serve = buildCommand({
  docs: {
    brief: "Run a server that echoes requests",
    fullDescription:
      "Listens until it is interrupted, then closes in good order. SIGHUP makes it read its keys again, from the same sources (what came by a descriptor or standard input stays): connections whose keys are accepted no more are drained.\n\nExamples:\n  sealwire serve --echo --psk shared.psk\n  sealwire serve --echo --psk shared.psk --other-psk next.psk\n  sealwire serve --echo --listen 0.0.0.0:7000 --key server.key --peer PUBLIC-KEY-OF-A-CLIENT",
  },
  parameters: {
    flags: {
      ...peerFlags,
      ...otherKeyFlags,
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
    const sources = new SecretSources();
    try {
      await run(flags, sources);
    } finally {
      sources.wipe();
    }
  },
});
