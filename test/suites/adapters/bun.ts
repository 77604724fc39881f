import { bunAdapter } from "../../../src/adapters/bunSockets.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

if (runtimeId === "bun") testAdapter(bunAdapter);
else test("the contract", { only: ["bun"] }, () => {});
