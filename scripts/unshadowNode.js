// Runs after `npm install` and `npm ci` as the script "dependencies", which npm runs here and never where the package
// is installed. (A "prepare" in package.json would make npm warn of install scripts.) The second Node
// (tools/node-current) brings a `node` binary that npm links into node_modules/.bin, where it would shadow the
// machine's own Node inside npm scripts. Every runtime is resolved by path instead (scripts/runtimes.js), so this
// script removes the link. The packaging test compiles old consumers with an older TypeScript, which takes the link
// `tsc` in the same way; this script gives it back.
import { readlinkSync, rmSync, symlinkSync } from "node:fs";

const bin = new URL("../node_modules/.bin/", import.meta.url);

/** Where a link in node_modules/.bin points, "" for a file, undefined where there is neither. */
function targetOf(name) {
  try {
    return readlinkSync(new URL(name, bin));
  } catch (error) {
    return error.code === "ENOENT" ? undefined : "";
  }
}

for (const name of ["node", "node.cmd", "node.ps1"]) {
  const target = targetOf(name);
  if (target === "" || /node-(bin-)?(linux|darwin|win)/.test(target ?? ""))
    rmSync(new URL(name, bin), { force: true });
}
for (const name of ["tsc", "tsserver"]) {
  if (!targetOf(name)?.includes("typescript-5.4")) continue;
  rmSync(new URL(name, bin));
  if (name === "tsc") symlinkSync("../typescript/bin/tsc", new URL(name, bin));
}
