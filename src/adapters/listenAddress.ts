// Checks what node:net does not report where somebody could catch it, or ignores: whether the process may listen at an
// address, and whether several processes can share its port. Loaded only where that is the question.

import { isAllowed } from "../base/denoPermission.ts";
import { SealwireError } from "../base/errors.ts";
import { runtimeName } from "../core/runtimeName.ts";
import type { ListenAddress } from "../rpc/transport.ts";
import { listenFailed } from "./failures.ts";
import { nodeModule } from "./nodeModules.ts";
import { PortTrial, TRIAL_HOST } from "./reusePort.ts";

/** The process or the system has run out of something, and a later trial may succeed. */
const PASSING: readonly unknown[] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

/** Node's permission model; its types may be older. */
interface Restricted {
  readonly permission?: { has(scope: string): boolean };
  readonly allowedNodeEnvironmentFlags: ReadonlySet<string>;
}

/** Before version 25, Node's model knows no "net", and answers false for it. */
function nodeForbids(): boolean {
  const { permission, allowedNodeEnvironmentFlags } = process as Restricted;
  return permission?.has("net") === false && allowedNodeEnvironmentFlags.has("--allow-net");
}

const denoAccess = (ip: string, port: number) => ({
  name: "net",
  host: `${ip.includes(":") ? `[${ip}]` : ip}:${port}`,
});

/**
 * The address, in Deno with its name resolved as node:net would do it. If the process may not listen there, node:net
 * throws outside of any call, which would end the process.
 *
 * @throws the runtime's error if the name has no address, and an error if the process may not listen
 */
async function permitted(address: ListenAddress): Promise<ListenAddress> {
  const { host, port } = address;
  if (host === undefined) return address;
  if (nodeForbids()) throw new Error("the process has no net access (--allow-net)");
  if (runtimeName !== "deno") return address;
  const { address: ip } = await nodeModule("dns/promises").lookup(host);
  const access = denoAccess(ip, port);
  if (isAllowed(access, "requestSync")) return { ...address, host: ip };
  throw new Error(`the process has no net access to ${access.host} (--allow-net)`);
}

/** The trial's port is any. Without access, node:net would throw outside of any call here, too. */
const mayTry = (): boolean => isAllowed({ name: "net", host: TRIAL_HOST });

const ofThisProcess = new PortTrial();

/**
 * The address for `listen` of node:net. Rejects with ERR_LISTEN_FAILED if the process may not listen there, or has no
 * descriptor for a trial of shared ports. Rejects with ERR_UNSUPPORTED if they can't be shared; `cause` is the error of
 * the trial.
 */
export async function checkedAddress(address: ListenAddress, trial = ofThisProcess): Promise<ListenAddress> {
  let checked: ListenAddress;
  try {
    checked = await permitted(address);
  } catch (cause) {
    throw listenFailed(address, cause);
  }
  if (!address.reusePort) return checked;
  if (!mayTry()) {
    // Deno shares ports on Linux. A process that may listen on its own port only need not try that.
    if (process.platform === "linux") return checked;
    throw listenFailed(address, new Error(`to try reusePort, it needs net access to ${TRIAL_HOST}`));
  }
  try {
    await trial.succeeds();
    return checked;
  } catch (cause) {
    if (PASSING.includes((cause as { code?: unknown } | undefined)?.code)) throw listenFailed(address, cause);
    const text =
      "reusePort: this runtime or system can't share a port (Node can from 22.12 and 23.1 on); node:cluster can";
    throw new SealwireError("ERR_UNSUPPORTED", text, { cause });
  }
}
