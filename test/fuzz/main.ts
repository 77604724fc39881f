// fuzz/main.js SEED SECONDS ROUNDS [LEVEL]: rounds of each level in turn, for so long or so many (0: no limit), each with
// a seed of its own. A round that fails is told with its level and seed; SEED of that round and ROUNDS 1 replay it.

import { Random } from "../simulation/random.ts";
import { codecsLevel } from "./codecsLevel.ts";
import { exportsLevel } from "./exportsLevel.ts";
import { framesLevel } from "./framesLevel.ts";
import { handshakeLevel } from "./handshakeLevel.ts";
import type { Level } from "./level.ts";
import { liveLevel } from "./liveLevel.ts";

const [seed, seconds, rounds] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const named = process.argv[5];
const levels = [exportsLevel, framesLevel, handshakeLevel, liveLevel, codecsLevel].filter(
  ({ name }) => named === undefined || name === named,
);
const inputs = Object.fromEntries(levels.map(({ name }) => [name, 0]));
let failures = 0;

function failed(level: string, at: number, error: unknown): void {
  failures++;
  console.log(`${level}, seed ${at}: ${(error as Error)?.stack ?? error}`);
}
process.on("unhandledRejection", (error) => failed("an unhandled rejection", -1, error));
process.on("uncaughtException", (error) => failed("an uncaught exception", -1, error));

async function runLevel(level: Level): Promise<void> {
  const until = performance.now() + (seconds * 1_000) / levels.length;
  for (
    let round = 0;
    (rounds === 0 || round < rounds) && (seconds === 0 || performance.now() < until);
    round++
  ) {
    try {
      inputs[level.name]! += await level.round(new Random(seed + round));
    } catch (error) {
      failed(level.name, seed + round, error);
      if (failures >= 10) return;
    }
  }
  try {
    await level.end?.();
  } catch (error) {
    failed(`${level.name}, at its end`, seed, error);
  }
}

for (const level of levels) await runLevel(level);
console.log(JSON.stringify({ seed, failures, inputs }));
process.exit(failures === 0 ? 0 : 1);
