import { bunAdapter } from "../../../src/adapters/bun.ts";
import { testAdapter } from "../../support/adapterContract.ts";
import { runtimeId, test } from "../../support/harness.ts";

if (runtimeId === "bun") testAdapter(bunAdapter);
else test("the contract", { only: ["bun"] }, () => {});
