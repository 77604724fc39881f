// Measurements of many clients and several processes: `npm run bench:many -- reconnect | scaling`.
import process from "node:process";
import { reconnect } from "./reconnect.js";
import { scaling } from "./scaling.js";

const commands = { reconnect, scaling };
const [name, count] = process.argv.slice(2);
const command = commands[name ?? ""];
if (command === undefined) {
  console.error(`one of: ${Object.keys(commands).join(", ")}`);
  process.exitCode = 2;
} else await command(count === undefined ? undefined : Number(count));
