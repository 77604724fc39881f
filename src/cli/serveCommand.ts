// serve --echo: a server to try things against.

import process from "node:process";
import { buildCommand } from "@stricli/core";
import type { SealwireError } from "../base/errors.ts";
import { type Connection, listen, type Message, type OtherKeys, type Server } from "../index.ts";
import type { PeerOptions } from "../protocol/noise/noiseOptions.ts";
import { CommandError } from "./exitCodes.ts";
import { errorText, note, result } from "./output.ts";
import { addressOf, describePeer, type PeerFlags, peerFlags, peerOptions, wipeOptions } from "./peerFlags.ts";
import { readKey, sourceBrief } from "./secrets.ts";

interface ServeFlags extends PeerFlags {
  readonly otherKey?: readonly string[];
  readonly otherPsk?: readonly string[];
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

/** The keys that the flags name, as they are now. */
function serverKeys(flags: ServeFlags): PeerOptions & OtherKeys {
  const options: PeerOptions & OtherKeys = peerOptions(flags);
  const { otherKey, otherPsk } = flags;
  try {
    if (otherKey !== undefined) options.otherStaticKeys = otherKey.map((source) => readKey(source));
    if (otherPsk !== undefined) options.otherPsks = otherPsk.map((source) => readKey(source));
  } catch (error) {
    wipeKeys(options);
    throw error;
  }
  return options;
}

function wipeKeys(options: PeerOptions & OtherKeys): void {
  wipeOptions(options);
  for (const secret of [...(options.otherStaticKeys ?? []), ...(options.otherPsks ?? [])])
    if (secret instanceof Uint8Array) secret.fill(0);
}

/** On SIGHUP, reads all keys again. A mistake is told, and changes nothing. Returns what ends that. */
function reloadOnHangUp(flags: ServeFlags, server: Server): () => void {
  const reload = async (): Promise<void> => {
    let options: (PeerOptions & OtherKeys) | undefined;
    try {
      options = serverKeys(flags);
      const drained = await server.reload(options);
      if (flags.json) result(flags, { event: "reloaded", drained }, "");
      else note(flags, `read the keys again; connections that are drained since theirs are gone: ${drained}`);
    } catch (error) {
      if (flags.json) result(flags, { event: "reload failed", error: errorText(error) }, "");
      else note(flags, `the keys stay as they were: ${errorText(error)}`);
    } finally {
      if (options !== undefined) wipeKeys(options);
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

export const serve = buildCommand({
  docs: {
    brief: "Run a server that echoes requests",
    fullDescription:
      "Listens until it is interrupted, then closes in good order. SIGHUP makes it read its keys again, from the same sources: connections whose keys are accepted no more are drained.\n\nExamples:\n  sealwire serve --echo --psk shared.psk\n  sealwire serve --echo --listen 0.0.0.0:7000 --key server.key --peer PUBLIC-KEY-OF-A-CLIENT",
  },
  parameters: {
    flags: {
      ...peerFlags,
      otherKey: {
        kind: "parsed",
        parse: String,
        brief: `A further private key, for clients that pin its public key: ${sourceBrief}; up to three`,
        optional: true,
        variadic: true,
        placeholder: "SOURCE",
      },
      otherPsk: {
        kind: "parsed",
        parse: String,
        brief: `A further pre-shared key that is accepted: ${sourceBrief}; up to three`,
        optional: true,
        variadic: true,
        placeholder: "SOURCE",
      },
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
    const options = serverKeys(flags);
    const ended = endAsked();
    const server = await listen({
      ...flags.listen,
      ...options,
      handshakeTimeoutMs: flags.timeout,
      onMessage: echo,
      stat: flags.stat && (() => true),
      onConnectionState: (connection, state, error) => tell(flags, connection, state, error),
    }).finally(() => wipeKeys(options));
    const endReloads = reloadOnHangUp(flags, server);
    const where = server.path ?? `${"host" in flags.listen ? flags.listen.host : ""}:${server.port}`;
    result(flags, { event: "listening", port: server.port, path: server.path }, `listening on ${where}`);
    await ended;
    await server.close();
    endReloads();
  },
});
