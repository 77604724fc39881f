// From a signal to the end of the process: not ready, grace, drain, exit.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import type { Server } from "../rpc/serverInterface.ts";

/** Numbers of POSIX; a process that a signal ended is told as 128 and this. */
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;
type Signal = NonNullable<CloseOnSignalOptions["signals"]>[number];

/** Options of `closeOnSignal`. */
export interface CloseOnSignalOptions {
  /**
   * How long the servers go on to serve after the signal, new connections, too, while their health says "draining":
   * until balancers and DNS have noticed. Default 0.
   */
  graceMs?: number;
  /** Default SIGTERM and SIGINT. */
  signals?: readonly ("SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM")[];
  /** Ends the process with status 0 (1 where one could not be closed) when all are closed. Default true. */
  exit?: boolean;
}

/**
 * Closes servers in good order when the process gets a signal: their health says "draining" at once; after `graceMs`
 * they accept nothing more and drain (within `drainTimeoutMs`); then the process ends. A second signal cuts the grace
 * short, a third one ends the process at once with 128 and the signal's number. May be called for several servers one by
 * one: the process ends when the last of them is closed.
 *
 * @returns takes the handlers of the signals away again
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option; ERR_UNSUPPORTED where there are no signals
 */
export function closeOnSignal(
  servers: Server | readonly Server[],
  options: CloseOnSignalOptions = {},
): () => void {
  const all = Array.isArray(servers) ? [...servers] : [servers];
  if (all.some((server) => typeof server?.close !== "function"))
    throw invalidArgument("servers", "a Server or a list of them");
  checkOptionNames(options, ["graceMs", "signals", "exit"]);
  const { graceMs = 0, signals = ["SIGTERM", "SIGINT"], exit = true } = options;
  integerOption("graceMs", graceMs, 0, MAX_MS);
  if (typeof exit !== "boolean") throw invalidArgument("exit", "a boolean");
  if (!Array.isArray(signals) || signals.some((signal) => !Object.hasOwn(signalNumbers, signal)))
    throw invalidArgument("signals", `a list of ${Object.keys(signalNumbers).join(", ")}`);
  const { process } = globalThis;
  if (typeof process?.on !== "function")
    throw new SealwireError("ERR_UNSUPPORTED", "this runtime tells of no signals");

  let heard = 0;
  const onSignal = (signal: Signal): void => {
    heard++;
    if (heard === 1) void closeInOrder(all, graceMs, exit, remove);
    else if (heard === 2) for (const server of all) void close(server);
    else process.exit(128 + signalNumbers[signal]);
  };
  const handlers = signals.map((signal: Signal) => [signal, () => onSignal(signal)] as const);
  const remove = (): void => {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return remove;
}

/** Of all calls of closeOnSignal: servers that are closing. The last one ends the process, so that it cuts no other short. */
let closing = 0;
let exits = false;
let failed = false;

async function closeInOrder(
  servers: readonly Server[],
  graceMs: number,
  exit: boolean,
  remove: () => void,
): Promise<void> {
  closing++;
  const closed = await Promise.all(servers.map((server) => close(server, graceMs)));
  remove();
  closing--;
  exits ||= exit;
  failed ||= closed.includes(false);
  if (closing > 0) return;
  if (exits) process.exit(failed ? 1 : 0);
  failed = false;
}

/** False, and the reason is reported, when it could not be closed: the others are all the same. */
async function close(server: Server, graceMs?: number): Promise<boolean> {
  try {
    await (graceMs === undefined ? server.close() : server.close({ graceMs }));
    return true;
  } catch (error) {
    console.error("sealwire: a server could not be closed", error);
    return false;
  }
}
