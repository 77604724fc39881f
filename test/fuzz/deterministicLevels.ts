// The levels that depend only on the decisions of an input: time, chance and the event loop are those of the simulation
// (scripts/simulation/bundle.js).

import { exportsLevel } from "./exportsLevel.ts";
import { framesLevel } from "./framesLevel.ts";
import { handshakeLevel } from "./handshakeLevel.ts";
import type { Level } from "./level.ts";
import { fuzz, givenOptions } from "./main.ts";
import { protocolLevel } from "./protocolLevel.ts";

/** What makes values for codecs takes a second to load: only where they are tried. */
const codecsLevel: Level = {
  name: "codecs",
  run: async (random) => (await import("./codecsLevel.ts")).codecsLevel.run(random),
};

await fuzz([exportsLevel, framesLevel, handshakeLevel, protocolLevel, codecsLevel], givenOptions());
