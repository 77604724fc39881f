// Names that a test gives to addresses for single processes, and changes while they run. Those processes see the test's
// hosts file in the place of the system's. Linux, with the right to make mount namespaces.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Runtime } from "./childProcess.ts";

const MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"';
const within = (file: string): readonly string[] => ["-rm", "sh", "-c", MOUNT, file];

export class HostNames {
  readonly #file: string;
  readonly #addresses = new Map<string, string>();

  /** @param file a path at which the hosts file is made */
  constructor(file: string) {
    this.#file = file;
    this.#write();
  }

  /** From here on `name` stands for `address`, for those processes alone. */
  set(name: string, address: string): void {
    this.#addresses.set(name, address);
    this.#write();
  }

  // In place: what is mounted is the file, whatever has its path later.
  #write(): void {
    const lines = [...this.#addresses].map(([name, address]) => `${address} ${name}\n`);
    writeFileSync(this.#file, lines.join(""));
  }

  /** A runtime whose programs see these names. */
  seenBy({ path, args }: Runtime): Runtime {
    return { path: "unshare", args: [...within(this.#file), path, ...args] };
  }

  /** Whether processes can be given names here. */
  static get work(): boolean {
    return spawnSync("unshare", [...within("/dev/null"), "true"]).status === 0;
  }
}
