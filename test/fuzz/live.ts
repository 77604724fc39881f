// The levels with real sockets, whose inputs can't be played again exactly.

import { liveLevel } from "./liveLevel.ts";
import { fuzz, givenOptions } from "./main.ts";
import { typedAnswersLevel } from "./typedAnswersLevel.ts";
import { typedLevel } from "./typedLevel.ts";

await fuzz([liveLevel, typedLevel, typedAnswersLevel], givenOptions());
