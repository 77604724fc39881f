// proxy: runs sealwire in front of any service with TCP or a Unix socket.

import process from "node:process";
import { buildCommand } from "@stricli/core";
import { countSignals } from "../entry/signalCount.ts";
import type { Connection } from "../index.ts";
import { mostOfOne } from "../rpc/admissionLimits.ts";
import type { ConnectionStateListener } from "../rpc/peer.ts";
import type { Target } from "./dialling.ts";
import { CommandError } from "./exitCodes.ts";
import { type AllKeys, allKeys, type OtherKeyFlags, otherKeyFlags, wipeAllKeys } from "./otherKeyFlags.ts";
import { errorText, note, result } from "./output.ts";
import { addressOf, describePeer, type PeerFlags, peerFlags, peersFileOf, wholeNumber } from "./peerFlags.ts";
import { usePeers } from "./peersCommands.ts";
import { listenSealed } from "./proxy/openingSide.ts";
import { listenPlain } from "./proxy/plainSide.ts";
import { ProxyCounts, serveStatus } from "./proxy/proxyStatus.ts";
import { SealingSide } from "./proxy/sealingSide.ts";
import { SecretSources } from "./secrets.ts";

interface ProxyFlags extends PeerFlags, OtherKeyFlags {
  readonly seal: boolean;
  readonly open: boolean;
  readonly listen: Target;
  readonly target: readonly Target[];
  readonly unsafePlain: boolean;
  readonly proxyProtocol: boolean;
  readonly balancer?: readonly string[];
  readonly status?: Target;
  readonly grace: number;
  readonly maxConnections: number;
  readonly maxPerPeer?: number;
  readonly connections: number;
}

/** One of the two sides, running. */
interface Side {
  readonly port: number;
  readonly stats: object;
  /** Takes other keys; returns the number of peers that lost their connections. */
  reload(keys: AllKeys): Promise<number>;
  /** Takes no more connections, and resolves when the open ones have ended or the grace is over. */
  close(): Promise<void>;
  /** Ends the grace. */
  cut(): void;
}

async function startSealing(flags: ProxyFlags, keys: AllKeys, counts: ProxyCounts): Promise<Side> {
  const { target, timeout, grace, maxConnections, connections, unsafePlain } = flags;
  const options = {
    endpoints: target,
    maxConnections: connections,
    dialTimeoutMs: timeout,
    drainTimeoutMs: grace,
    most: maxConnections,
  };
  const side = new SealingSide(options, keys, counts);
  const accept = side.accept.bind(side);
  const listener = await listenPlain(flags.listen, { anywhere: unsafePlain }, accept).catch(async (error) => {
    await side.close();
    throw error;
  });
  return {
    port: listener.port,
    get stats() {
      return side.stats;
    },
    reload: async (other) => {
      side.reload(other);
      return 0;
    },
    close: () => {
      listener.close();
      return side.close();
    },
    cut: () => side.cut(),
  };
}

async function startOpening(flags: ProxyFlags, keys: AllKeys, counts: ProxyCounts): Promise<Side> {
  const [target, ...others] = flags.target;
  if (others.length > 0) throw new CommandError("usage", "--open has one --target");
  const tell: ConnectionStateListener = (connection: Connection, state, error) => {
    const { remoteAddress } = connection;
    const peer = describePeer(connection);
    const reason = error === undefined ? "" : `: ${errorText(error)}`;
    if (flags.json) result(flags, { event: state, remoteAddress, peer, error: error?.code }, "");
    else note(flags, `${state} ${remoteAddress} (${peer})${reason}`);
  };
  const options = {
    listen: flags.listen,
    target: target!,
    timeoutMs: flags.timeout,
    graceMs: flags.grace,
    most: flags.maxConnections,
    mostPerPeer: flags.maxPerPeer ?? mostOfOne(flags.maxConnections),
    anywhere: flags.unsafePlain,
    announces: flags.proxyProtocol,
    balancers: flags.balancer,
    onConnectionState: tell,
  };
  const { server, cut } = await listenSealed(options, keys, counts);
  return {
    port: server.port,
    get stats() {
      return server.stats;
    },
    reload: (other) => server.reload(other),
    close: () => server.close(),
    // The end of the process cuts the connections of its peers.
    cut: () => void cut().finally(() => process.exit(0)),
  };
}

/** Reads the keys and allow-lists again. A mistake in them changes nothing. */
async function reload(
  flags: ProxyFlags,
  sources: SecretSources,
  side: Side,
  counts: ProxyCounts,
): Promise<void> {
  try {
    if (flags.knownPeers !== undefined)
      await usePeers(peersFileOf(flags.knownPeers), (peers) => peers.list());
    const keys = allKeys(flags, (source) => sources.read(source));
    try {
      const dropped = await side.reload(keys);
      counts.reloads++;
      result(flags, { event: "reloaded", dropped }, `reloaded, ${dropped} connections end`);
    } finally {
      wipeAllKeys(keys);
    }
  } catch (error) {
    const text = `not reloaded, everything stays: ${errorText(error)}`;
    if (flags.json) result(flags, { event: "reload-failed", message: errorText(error) }, "");
    else note(flags, text);
  }
}

/** Runs until a signal ends it and its open connections have ended. */
async function untilEnded(
  flags: ProxyFlags,
  sources: SecretSources,
  side: Side,
  counts: ProxyCounts,
): Promise<void> {
  const onHangup = (): void => void reload(flags, sources, side, counts);
  process.on("SIGHUP", onHangup);
  let ignoreSignals = (): void => {};
  await new Promise<void>((resolve) => {
    ignoreSignals = countSignals(["SIGINT", "SIGTERM"], (count) => {
      if (count === 1) resolve();
      else side.cut();
    });
  });
  counts.draining = true;
  result(flags, { event: "draining", open: counts.open }, `draining ${counts.open} connections`);
  await side.close();
  ignoreSignals();
  process.removeListener("SIGHUP", onHangup);
}

const text = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: addressOf, brief, placeholder }) as const;

export const proxy = buildCommand({
  docs: {
    brief: "Stand in front of any service: plain in and sealed out, or the reverse",
    fullDescription: [
      "One side seals what plain clients send to it, the other opens it and passes it to the service. Every TCP",
      "connection is a stream of its own; ends, half ends and pressure pass through. The plain side stays on this",
      "machine (loopback addresses and Unix sockets) unless --unsafe-plain is given.",
      "SIGHUP reads keys and known peers anew; peers that are accepted no more lose their connections, and --other-psk",
      "and --other-key accept the next keys beside those of before while both are in use. SIGTERM lets",
      "open connections end for --grace milliseconds; a second one cuts them.",
      "",
      "Examples:",
      "  sealwire proxy --open --listen 0.0.0.0:7000 --target 127.0.0.1:5432 --key server.key --known-peers clients",
      "  sealwire proxy --seal --listen 127.0.0.1:5432 --target db.example.net:7000 --key app.key --peer PUBLIC-KEY",
      "  sealwire proxy --seal --listen unix:/run/app/redis.sock --target cache:7001 --psk shared.psk --status :7099",
    ].join("\n"),
  },
  parameters: {
    flags: {
      ...peerFlags,
      ...otherKeyFlags,
      seal: { kind: "boolean", brief: "Plain connections in, sealed ones out", default: false },
      open: { kind: "boolean", brief: "Sealed connections in, plain ones out", default: false },
      listen: text("HOST:PORT (0: any free port) or unix:PATH", "ADDRESS"),
      target: {
        ...text("Where connections go; --seal may have several, which do the same", "ADDRESS"),
        variadic: true,
      },
      unsafePlain: { kind: "boolean", brief: "Let the plain side leave this machine", default: false },
      proxyProtocol: {
        kind: "boolean",
        brief: "--open: tell the target who is there (PROXY protocol version 2)",
        default: false,
      },
      balancer: {
        kind: "parsed",
        parse: String,
        brief: "--open: believe the PROXY headers of this address or range; may be repeated",
        optional: true,
        variadic: true,
        placeholder: "RANGE",
      },
      status: {
        ...text("Answer HTTP: /status (JSON), /readyz", "ADDRESS"),
        optional: true,
      },
      grace: {
        kind: "parsed",
        parse: wholeNumber(0, 86_400_000, "milliseconds"),
        brief: "Milliseconds for open connections to end",
        default: "30000",
        placeholder: "MS",
      },
      maxConnections: {
        kind: "parsed",
        parse: wholeNumber(1, 65_536),
        brief: "Plain connections at most",
        default: "1024",
        placeholder: "N",
      },
      maxPerPeer: {
        kind: "parsed",
        parse: wholeNumber(1, 65_536),
        brief: "--open: of them for one peer at most (all but a 64th)",
        optional: true,
        placeholder: "N",
      },
      connections: {
        kind: "parsed",
        parse: wholeNumber(1, 64),
        brief: "--seal: sealed connections at most, per address of a target",
        default: "4",
        placeholder: "N",
      },
    },
    aliases: { l: "listen", t: "target" },
  },
  async func(flags: ProxyFlags) {
    if (flags.seal === flags.open) throw new CommandError("usage", "say which: --seal or --open");
    if (flags.seal && (flags.proxyProtocol || flags.balancer !== undefined))
      throw new CommandError("usage", "--proxy-protocol and --balancer go with --open");
    if (flags.seal && flags.maxPerPeer !== undefined)
      throw new CommandError("usage", "--max-per-peer goes with --open");
    if (flags.seal && flags.otherKey !== undefined)
      throw new CommandError("usage", "--other-key goes with --open: a client has one key");
    const mode = flags.seal ? "seal" : "open";
    const counts = new ProxyCounts();
    const sources = new SecretSources();
    try {
      const keys = allKeys(flags, (source) => sources.read(source));
      const start = flags.seal ? startSealing : startOpening;
      const side = await start(flags, keys, counts).finally(() => wipeAllKeys(keys));
      const record = (): object => counts.record(mode, side.stats);
      const status =
        flags.status === undefined
          ? undefined
          : await serveStatus(flags.status, counts, record).catch(async (error) => {
              await side.close();
              throw error;
            });
      const where = "path" in flags.listen ? flags.listen.path : `${flags.listen.host}:${side.port}`;
      result(
        flags,
        { event: "listening", mode, port: side.port, statusPort: status?.port },
        `listening on ${where}`,
      );
      await untilEnded(flags, sources, side, counts);
      await status?.close();
      result(flags, { event: "ended", ...record() }, `ended after ${counts.total} connections`);
    } finally {
      sources.wipe();
    }
  },
});
