// Network namespaces with veth pairs between them, where the system and the rights allow it (Linux, root, iproute2).

import { execFileSync } from "node:child_process";
import type { Runtime } from "./childProcess.ts";

const TIMEOUT_MS = 10_000;

/** Runs `ip`, or another program of iproute2. */
export function ip(args: string, program = "ip"): string {
  return execFileSync(program, args.split(" "), { encoding: "utf8", timeout: TIMEOUT_MS, stdio: "pipe" });
}

/** Whether `ip` with these arguments does what it should here. */
export function ipWorks(args: string, program = "ip"): boolean {
  try {
    ip(args, program);
    return true;
  } catch {
    return false;
  }
}

/** Why there can be no namespaces; undefined where there can. */
export function whyNoNamespaces(): string | undefined {
  const name = `sealwire-${process.pid}-probe`;
  if (!ipWorks("-V")) return "iproute2 is not installed";
  if (!ipWorks(`netns add ${name}`)) return "no right to make network namespaces";
  ip(`netns del ${name}`);
  return undefined;
}

/** Why no latency and loss can be made, where namespaces can; undefined where they can. */
export function whyNoNetem(): string | undefined {
  const probe = new Namespace("netem");
  try {
    if (ipWorks(`-n ${probe.name} qdisc add dev lo root netem delay 1ms`, "tc")) return undefined;
    return "this kernel has no netem: latency is tested through a proxy instead, loss is not";
  } finally {
    probe.destroy();
  }
}

export class Namespace {
  readonly name: string;

  constructor(label: string) {
    this.name = `sealwire-${process.pid}-${label}`;
    ip(`netns add ${this.name}`);
    this.ip("link set lo up");
  }

  ip(args: string): string {
    return ip(`-n ${this.name} ${args}`);
  }

  /** A runtime whose programs run in here. */
  inside({ path, args }: Runtime): Runtime {
    return { path: "ip", args: ["netns", "exec", this.name, path, ...args] };
  }

  /** Its devices go with it; their other ends, too. */
  destroy(): void {
    ip(`netns del ${this.name}`);
  }
}

/** A cable between two namespaces: a device of this name in each, with these addresses. */
export function cable(
  device: string,
  [one, oneAddresses]: [Namespace, readonly string[]],
  [other, otherAddresses]: [Namespace, readonly string[]],
): void {
  ip(`-n ${one.name} link add ${device} type veth peer name ${device} netns ${other.name}`);
  for (const [namespace, addresses] of [
    [one, oneAddresses],
    [other, otherAddresses],
  ] as const) {
    for (const address of addresses)
      namespace.ip(`addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`);
    namespace.ip(`link set ${device} up`);
  }
}
