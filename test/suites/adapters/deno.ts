import { denoAdapter } from "../../../src/adapters/denoSockets.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

if (runtimeId === "deno") testAdapter(denoAdapter);
else test("the contract", { only: ["deno"] }, () => {});
