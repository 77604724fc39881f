// The levels in which nothing depends on anything but an input's decisions: time, chance and the event loop are those of
// the simulation (scripts/simulation/bundle.js).

import { codecsLevel } from "./codecsLevel.ts";
import { exportsLevel } from "./exportsLevel.ts";
import { framesLevel } from "./framesLevel.ts";
import { handshakeLevel } from "./handshakeLevel.ts";
import { fuzz, givenOptions } from "./main.ts";
import { protocolLevel } from "./protocolLevel.ts";

await fuzz([exportsLevel, framesLevel, handshakeLevel, protocolLevel, codecsLevel], givenOptions());
