// The adapter for Deno.listen and Deno.connect.

import { makeDenoPolls } from "../core/denoPolls.ts";
import { endOfTurnByPromise } from "../core/denoTurns.ts";
import { outOfContext, startTimer, usePollInDeno, yieldToEventLoop } from "../core/eventLoop.ts";
import { runtimeName } from "../core/runtimeName.ts";
import { CallbackDeadline } from "../rpc/deadline.ts";
import { timers } from "../rpc/timers.ts";
import type {
  Adapter,
  Address,
  DialEvents,
  ListenAddress,
  Listener,
  Transport,
  TransportEvents,
} from "../rpc/transport.ts";
import { AcceptFailures } from "./acceptFailures.ts";
import { AcceptTurns } from "./acceptTurns.ts";
import { type DenoConn, DenoTransport } from "./denoTransport.ts";
import { ACCEPT_PAUSE_MS } from "./descriptors.ts";
import { checkPath, dialFailed, listenFailed } from "./failures.ts";
import { listenByNode } from "./nodeListener.ts";
import { closingOwnPath } from "./ownPath.ts";
import { names } from "./resolveName.ts";

/** The part of Deno's socket API that is used here. */
type DenoWhere =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };
interface DenoListen {
  readonly addr: { readonly port?: number };
  accept(): Promise<DenoConn>;
  ref(): void;
  unref(): void;
  close(): void;
}
interface DenoApi {
  /** The signal cancels a TCP dial. A Unix socket connects or fails at once. */
  connect(where: DenoWhere & { readonly signal?: AbortSignal }): Promise<DenoConn>;
  listen(where: DenoWhere): DenoListen;
}

declare const Deno: DenoApi;

function where(address: Address): DenoWhere {
  checkPath(address);
  return address.path === undefined
    ? { transport: "tcp", hostname: address.host, port: address.port }
    : { transport: "unix", path: address.path };
}

function dial(address: Address, events: DialEvents): () => void {
  const abort = new AbortController();
  let settled = false;
  let givenUp = false;
  const fail = (error: unknown): void => {
    if (settled) return;
    settled = true;
    events.onClose(dialFailed(address, error));
    timers.rest();
  };
  const connected = (conn: DenoConn): void => {
    if (settled || givenUp) {
      conn.close();
      return;
    }
    settled = true;
    events.onConnected(new DenoTransport(conn, events));
  };
  const connectTo = async (): Promise<DenoConn> => Deno.connect({ ...where(address), signal: abort.signal });
  connectTo().then(connected, fail);
  return () => {
    if (settled || givenUp) return;
    givenUp = true;
    // Deferred: a signal that fires after the connect, but before its promise resolves, would leave the
    // socket without an owner.
    startTimer(() => {
      abort.abort();
      fail(new Error("dialling was given up"));
    }, 0);
  };
}

/** @internal exported for its test */
export class DenoListener implements Listener {
  readonly #listener: DenoListen;
  readonly #accept: (transport: Transport) => TransportEvents;
  readonly #accepting: Promise<void>;
  readonly #stop: () => void | Promise<void>;
  readonly #pause = new CallbackDeadline(() => this.#endPause?.());
  #endPause: (() => void) | undefined;
  #listening = true;
  acceptFailures = 0;

  constructor(listener: DenoListen, accept: (transport: Transport) => TransportEvents, path?: string) {
    this.#listener = listener;
    this.#stop = closingOwnPath(path, () => {
      listener.close();
      return this.#accepting;
    });
    this.#accept = accept;
    this.#accepting = this.#acceptAll();
  }

  get port(): number {
    return this.#listener.addr.port ?? 0;
  }

  async #acceptAll(): Promise<void> {
    const failures = new AcceptFailures();
    const turns = new AcceptTurns();
    while (this.#listening) {
      let conn: DenoConn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (!this.#listening) return;
        if (failures.askForPause(error)) await this.#failed();
        continue;
      }
      failures.accepted();
      const transport = new DenoTransport(conn);
      transport.events = this.#accept(transport);
      await turns.accepted();
    }
  }

  /** Without a pause the loop would spin. Waiting clients stay in the kernel's backlog. */
  async #failed(): Promise<void> {
    this.acceptFailures++;
    await new Promise<void>((resolve) => {
      this.#endPause = resolve;
      timers.arm(this.#pause, ACCEPT_PAUSE_MS);
    });
  }

  keepAlive(on: boolean): void {
    if (on) this.#listener.ref();
    else this.#listener.unref();
  }

  async close(): Promise<void> {
    if (this.#listening) {
      this.#listening = false;
      const stopped = this.#stop();
      timers.cancel(this.#pause);
      this.#endPause?.();
      await stopped;
    }
    await this.#accepting;
    timers.rest();
  }
}

async function listen(
  address: ListenAddress,
  accept: (transport: Transport) => TransportEvents,
): Promise<Listener> {
  // Deno.listen takes no inherited sockets, and shares ports only with an unstable flag.
  if (address.fd !== undefined || address.reusePort) return listenByNode(address, accept);
  try {
    return new DenoListener(Deno.listen(where(address)), accept, address.path);
  } catch (error) {
    throw listenFailed(address, error);
  }
}

/** Other runtimes load this file as well. */
const polls = runtimeName === "deno" ? makeDenoPolls() : undefined;
if (polls !== undefined) usePollInDeno((callback) => polls.poll(callback));

export const denoAdapter: Adapter = {
  name: "deno",
  dial: (address, events) => outOfContext(() => dial(address, events)),
  listen: (address, accept) => outOfContext(() => listen(address, accept)),
  ...names,
  defer: endOfTurnByPromise(),
  yieldToEventLoop,
  ...(polls === undefined ? {} : { takeTurns: (callback) => polls.likelyPoll(callback) }),
};
