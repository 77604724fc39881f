// Ends a process after a signal in good order: not ready, grace, drain, exit.

import { invalidArgument, SealwireError } from "../base/errors.ts";
import { checkOptionNames, integerOption, MAX_MS } from "../base/options.ts";
import type { Server } from "../rpc/serverInterface.ts";
import { countSignals } from "./signalCount.ts";

/** POSIX numbers of the signals. The exit status of a process that a signal ended is 128 plus this number. */
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;
type Signal = NonNullable<CloseOnSignalOptions["signals"]>[number];

/** Options of `closeOnSignal`. */
export interface CloseOnSignalOptions {
  /**
   * How long the servers still serve after the signal, including new connections, while their health says
   * "draining". Choose the time that balancers and DNS need to notice. Default 0.
   */
  graceMs?: number;
  /** The signals. Default SIGTERM and SIGINT. */
  signals?: readonly ("SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGTERM")[];
  /**
   * Ends the process when all servers are closed, with status 0, or with 1 if one could not be closed.
   * Default true.
   */
  exit?: boolean;
}

/**
 * Closes servers in good order when the process gets a signal. Their health says "draining" at once. After
 * `graceMs` they accept nothing more and drain (within `drainTimeoutMs`). Then the process ends. A second
 * signal ends the grace; a third one ends the process at once, with status 128 plus the signal's number. The
 * same signal within 100 ms counts once. It may be called for several servers one by one: the process ends when the
 * last of them is closed.
 *
 * @returns a function that removes the signal handlers
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the option; ERR_UNSUPPORTED if the runtime has no signals
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

  const remove = countSignals<Signal>(signals, (count, signal) => {
    if (count === 1) void closeInOrder(all, graceMs, exit, remove);
    else if (count === 2) for (const server of all) void close(server);
    else process.exit(128 + signalNumbers[signal]);
  });
  return remove;
}

/**
 * The number of closing servers of all calls of closeOnSignal. The last one ends the process, so that none is
 * cut short.
 */
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

/**
 * False if the server could not be closed. The reason is reported, and the other servers close all the same.
 */
async function close(server: Server, graceMs?: number): Promise<boolean> {
  try {
    await (graceMs === undefined ? server.close() : server.close({ graceMs }));
    return true;
  } catch (error) {
    console.error("sealwire: a server could not be closed", error);
    return false;
  }
}
