// The package as it is published: packed, and installed into an empty folder without a network.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

export function installPackage(): InstalledPackage {
  const scratch = mkdtempSync(join(tmpdir(), "sealwire-installed-"));
  const folder = join(scratch, "consumer");
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", scratch];
  const [packed] = JSON.parse(npm(pack, repositoryRoot));
  const tarball = join(scratch, packed.filename);
  mkdirSync(folder);
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }));
  npm(["install", "--offline", "--no-audit", "--no-fund", tarball], folder);
  return {
    folder,
    tarball,
    files: packed.files.map((file: { path: string }) => file.path),
    write,
    remove: () => rmSync(scratch, { recursive: true, force: true }),
  };
}
