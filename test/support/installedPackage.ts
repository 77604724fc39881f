// The package as it is published: packed, and installed into an empty folder without a network. npm does both once in a
// run, for ten seconds; each file has a copy of what it made.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { onceInRun } from "./onceInRun.ts";
import { repositoryRoot } from "./vectors.ts";

export interface InstalledPackage {
  /** A folder whose programs can import the package. */
  readonly folder: string;
  /** The packed file. */
  readonly tarball: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
  /** Writes a file there, and returns its path. */
  write(name: string, text: string): string;
  remove(): void;
}

function npm(args: string[], cwd: string): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** What `npm pack --json` says of the package. */
interface Packed {
  filename: string;
  files: { path: string }[];
}

/** Packs the package into a folder, and installs it in its folder `consumer`. */
function packAndInstall(scratch: string): void {
  const told = npm(["pack", "--json", "--ignore-scripts", "--pack-destination", scratch], repositoryRoot);
  writeFileSync(join(scratch, "packed.json"), told);
  const folder = join(scratch, "consumer");
  mkdirSync(folder);
  const manifest = { name: "consumer", private: true, type: "module" };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const [{ filename }] = JSON.parse(told) as [Packed];
  npm(["install", "--offline", "--no-audit", "--no-fund", join(scratch, filename)], folder);
}

export function installPackage(): InstalledPackage {
  const scratch = mkdtempSync(join(tmpdir(), "sealwire-installed-"));
  cpSync(onceInRun(inject("runFolder"), "package", packAndInstall), scratch, {
    recursive: true,
    verbatimSymlinks: true,
  });
  const [packed] = JSON.parse(readFileSync(join(scratch, "packed.json"), "utf8")) as [Packed];
  const folder = join(scratch, "consumer");
  return {
    folder,
    tarball: join(scratch, packed.filename),
    files: packed.files.map(({ path }) => path),
    write: (name, text) => {
      const path = join(folder, name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
      return path;
    },
    remove: () => rmSync(scratch, { recursive: true, force: true }),
  };
}
