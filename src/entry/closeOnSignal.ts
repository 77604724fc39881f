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
  /** Ends the process with status 0 when all are closed. Default true. */
  exit?: boolean;
}

/**
 * Closes servers in good order when the process gets a signal: their health says "draining" at once; after `graceMs`
 * they accept nothing more and drain (within `drainTimeoutMs`); then the process ends. A second signal cuts the grace
 * short, a third one ends the process at once with 128 and the signal's number.
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
  const closeAll = async (wait: number): Promise<void> => {
    await Promise.all(all.map((server) => server.close({ graceMs: wait })));
    remove();
    if (exit) process.exit(0);
  };
  const onSignal = (signal: Signal): void => {
    heard++;
    if (heard === 1) closeAll(graceMs);
    else if (heard === 2) for (const server of all) server.close();
    else process.exit(128 + signalNumbers[signal]);
  };
  const handlers = signals.map((signal: Signal) => [signal, () => onSignal(signal)] as const);
  const remove = (): void => {
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return remove;
}
