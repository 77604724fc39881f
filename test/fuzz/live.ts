// The level with real sockets, whose inputs can't be played again exactly.

import { liveLevel } from "./liveLevel.ts";
import { fuzz, givenOptions } from "./main.ts";

await fuzz([liveLevel], givenOptions());
