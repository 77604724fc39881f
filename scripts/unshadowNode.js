// Runs after `npm install` and `npm ci` (as "prepare"). The second Node (tools/node-current) brings a
// `node` binary that npm links into node_modules/.bin, where it would shadow the machine's own Node
// inside npm scripts. Every runtime is resolved by path instead (scripts/runtimes.js), so the link goes.
import { readlinkSync, rmSync } from "node:fs";

for (const name of ["node", "node.cmd", "node.ps1"]) {
  const link = new URL(`../node_modules/.bin/${name}`, import.meta.url);
  let target;
  try {
    target = readlinkSync(link);
  } catch (error) {
    if (error.code === "ENOENT") continue;
  }
  if (target === undefined || /node-(bin-)?(linux|darwin|win)/.test(target)) rmSync(link, { force: true });
}
