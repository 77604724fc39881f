// Whether a suite tries every offset, seed and process instead of a sample: `npm run suite -- NAME --every`. The gate
// takes the sample, which has every assertion that the whole has.

import process from "node:process";

export const runsEvery = process.env.SEALWIRE_EVERY === "1";
