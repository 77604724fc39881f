// The names of the options that only servers have: known before the code that checks their values is loaded.

import type { OtherKeys } from "../protocol/noise/severalKeys.ts";
import type { AdmissionOptions } from "./admissionLimits.ts";
import type { ServingOptions } from "./servingOptions.ts";

export const serverOptionNames: readonly (keyof (AdmissionOptions & ServingOptions & OtherKeys))[] = [
  "maxConnections",
  "maxConnectionsPerAddress",
  "maxConnectionWaitMs",
  "maxHandshakes",
  "maxHandshakesPerAddress",
  "maxWaitingSockets",
  "reusePort",
  "fd",
  "proxyProtocol",
  "maxConnectionAgeMs",
  "health",
  "onHealth",
  "stat",
  "otherPsks",
  "otherStaticKeys",
];
