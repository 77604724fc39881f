// proxy --open: takes calls of sealing sides, and opens one plain connection to the target for each.

import { listen, type Message, type Server, type ServerOptions } from "../../index.ts";
import { ConsoleReport } from "../../rpc/listeners.ts";
import type { Target } from "../dialling.ts";
import type { AllKeys } from "../otherKeyFlags.ts";
import { errorText } from "../output.ts";
import { PeerShares } from "./peerShares.ts";
import { dialPlain, type PlainOptions } from "./plainSide.ts";
import type { PlainSocket } from "./plainSocket.ts";
import { proxyAnnouncement } from "./proxyAnnouncement.ts";
import type { ProxyCounts } from "./proxyStatus.ts";
import { PROXY_METHOD, relayServer } from "./relay.ts";

/** Connections that were cut are gone within this time. */
const CUT_MS = 1_000;

const NO_BODY = new Uint8Array(0);
/** The least that the options of a server allow. */
const LEAST_STREAMS = 128;

const failures = new ConsoleReport("sealwire: a proxied connection was cut:");

export interface OpeningOptions extends PlainOptions {
  readonly listen: Target;
  readonly target: Target;
  readonly timeoutMs: number;
  readonly graceMs: number;
  /** The most plain connections. */
  readonly most: number;
  /** The most of them for one peer. */
  readonly mostPerPeer: number;
  /** Whether the target gets a PROXY header with the peer's address. */
  readonly announces: boolean;
  /** Balancers in front of this side whose PROXY headers are trusted. */
  readonly balancers: readonly string[] | undefined;
  readonly onConnectionState: NonNullable<ServerOptions["onConnectionState"]>;
}

/** The error that the sealing side gets. */
function refusal(code: string, text: string, cause?: unknown): Error {
  return Object.assign(new Error(text, { cause }), { code });
}

/** The opening side, running. */
export interface OpeningSide {
  readonly server: Server;
  /** Resets the connections to the target, because the end of the process would end them in good order. */
  cut(): Promise<void>;
}

async function carry(
  message: Message,
  options: OpeningOptions,
  counts: ProxyCounts,
  open: Set<PlainSocket>,
): Promise<void> {
  const { target, timeoutMs, announces } = options;
  const { signal, connection } = message;
  let plain: PlainSocket;
  try {
    plain = await dialPlain(target, options, timeoutMs, signal);
  } catch (cause) {
    throw refusal("ERR_PROXY_TARGET", "the target can't be reached", cause);
  }
  open.add(plain);
  plain.gone.then(() => open.delete(plain));
  const cut = (): void => plain.reset();
  signal.addEventListener("abort", cut, { once: true });
  try {
    if (announces) {
      const { remoteAddress, remoteStaticKey } = connection;
      await plain.write(proxyAnnouncement(remoteAddress, remoteStaticKey));
    }
    const stream = { items: message, write: (item: Uint8Array) => message.write(item) };
    await relayServer(plain, stream, counts.moved);
  } catch (cause) {
    plain.reset();
    throw refusal("ERR_PROXY_CUT", "the connection to the target was cut", cause);
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

async function cutAll(open: ReadonlySet<PlainSocket>): Promise<void> {
  for (const plain of open) plain.reset();
  const gone = Promise.all([...open].map((plain) => plain.gone));
  await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, CUT_MS))]);
}

/** Starts to listen. Every call counts until its plain connection is gone. */
export async function listenSealed(
  options: OpeningOptions,
  keys: AllKeys,
  counts: ProxyCounts,
): Promise<OpeningSide> {
  const { most, mostPerPeer, balancers, timeoutMs, graceMs, onConnectionState } = options;
  const shares = new PeerShares(mostPerPeer);
  const open = new Set<PlainSocket>();
  const streams = Math.max(most, LEAST_STREAMS);
  const server = await listen({
    ...options.listen,
    ...keys,
    ...(balancers === undefined ? {} : { proxyProtocol: { trusted: balancers } }),
    handshakeTimeoutMs: timeoutMs,
    drainTimeoutMs: graceMs,
    maxStreams: streams,
    maxRequests: streams,
    maxConcurrentHandlers: streams,
    onConnectionState,
    onHandlerError: (error) => {
      failures.say(errorText(error));
    },
    onMessage: async (message) => {
      if (message.head.method !== PROXY_METHOD || !message.expectsReply)
        throw refusal("ERR_PROXY_METHOD", `only calls of ${PROXY_METHOD}`);
      if (counts.open >= most) {
        counts.refused++;
        throw refusal("ERR_PROXY_FULL", `${most} connections are open`);
      }
      const leave = shares.take(message.connection);
      if (leave === undefined) {
        counts.refused++;
        throw refusal("ERR_PROXY_FULL", `${mostPerPeer} connections of this peer are open`);
      }
      counts.open++;
      counts.total++;
      try {
        await carry(message, options, counts, open);
        message.reply(NO_BODY);
      } catch (error) {
        counts.failed++;
        throw error;
      } finally {
        counts.open--;
        leave();
      }
    },
  });
  return { server, cut: () => cutAll(open) };
}
