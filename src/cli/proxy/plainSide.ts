// The plain side of a proxy listens or dials here. Its bytes are not encrypted, so they stay on this machine: the
// address has to be a loopback address or a Unix socket, unless the user allows others.

import { lookup } from "node:dns/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { DescriptorGuard } from "../../adapters/descriptors.ts";
import { modulesLoading } from "../../adapters/nodeModules.ts";
import { isNode } from "../../adapters/nodeTransport.ts";
import { closingOwnPath } from "../../adapters/ownPath.ts";
import { AddressRanges } from "../../rpc/addressRange.ts";
import type { Target } from "../dialling.ts";
import { CommandError } from "../exitCodes.ts";
import { PlainSocket } from "./plainSocket.ts";

const loopback = new AddressRanges("loopback", ["127.0.0.0/8", "::1/128"]);
const ALSO_FOR_OTHERS = 0o177;
const BACKLOG = 1_024;

/** The address of a socket: an IP address and a port, or a path. */
type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface PlainOptions {
  /** The plain side may leave this machine. */
  readonly anywhere: boolean;
}

/** The addresses of a name. A lookup of the system can't be stopped, so its end is ignored once `signal` aborts. */
function addressesOf(host: string, signal: AbortSignal | undefined): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal!.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    lookup(host, { all: true, verbatim: true })
      .then((found) => resolve(found.map(({ address }) => address)), reject)
      .finally(() => signal?.removeEventListener("abort", aborted));
  });
}

/**
 * Every socket address of `address`; names are resolved now.
 *
 * @throws CommandError, the runtime's error, or the reason of `signal`
 */
async function socketAddressesOf(
  address: Target,
  { anywhere }: PlainOptions,
  signal?: AbortSignal,
): Promise<SocketAddress[]> {
  if ("path" in address) return [address];
  const { host, port } = address;
  signal?.throwIfAborted();
  const found = await addressesOf(host, signal);
  const allowed = anywhere ? found : found.filter((text) => loopback.includes(text));
  if (allowed.length > 0) return allowed.map((text) => ({ host: text, port }));
  throw new CommandError(
    "usage",
    `${host} is not this machine (${found.join(", ")}), and the plain side is not encrypted; --unsafe-plain allows it`,
  );
}

/** @throws the runtime's error, or the reason of `signal` */
function dialOne(to: SocketAddress, signal: AbortSignal): Promise<PlainSocket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ ...to, allowHalfOpen: true });
    const plain = new PlainSocket(socket);
    // Rejects when the socket is gone: until then it has a descriptor, and so keeps the place of its call.
    const aborted = (): void => plain.reset();
    signal.addEventListener("abort", aborted, { once: true });
    socket.once("error", reject);
    socket.once("close", () => {
      signal.removeEventListener("abort", aborted);
      const text = "the plain connection was closed while it was dialled";
      reject(signal.aborted ? signal.reason : new Error(text));
    });
    socket.once("connect", () => {
      if (signal.aborted) return;
      signal.removeEventListener("abort", aborted);
      resolve(plain);
    });
  });
}

/**
 * Dials the plain target. Its name is resolved each time, and its addresses are tried in turn.
 *
 * @param timeoutMs for the lookup of the name and all attempts together
 * @throws the error of the lookup or of the last attempt
 */
export async function dialPlain(
  address: Target,
  options: PlainOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<PlainSocket> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let error: unknown;
  for (const to of await socketAddressesOf(address, options, either)) {
    either.throwIfAborted();
    try {
      return await dialOne(to, either);
    } catch (failure) {
      error = failure;
    }
  }
  throw error;
}

export interface PlainListener {
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Stops accepting; accepted connections stay open. */
  close(): void;
}

/** Listens for plain connections. Only this user may use a Unix socket. */
export async function listenPlain(
  address: Target,
  options: PlainOptions,
  accept: (plain: PlainSocket) => void,
): Promise<PlainListener> {
  const [own] = await socketAddressesOf(address, options);
  await modulesLoading();
  const guard = new DescriptorGuard(isNode ? "told" : "untold");
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const plain = new PlainSocket(socket);
    if (guard.admits()) accept(plain);
    else plain.reset();
  });
  const umask = "path" in address ? process.umask(ALSO_FOR_OTHERS) : undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ ...own, backlog: BACKLOG }, resolve);
    });
  } catch (cause) {
    guard.close();
    throw new CommandError("unreachable", "the plain side can't listen", { cause });
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
  server.on("error", () => guard.failed());
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    close: closingOwnPath("path" in own! ? own.path : undefined, () => {
      guard.close();
      server.close();
    }),
  };
}
