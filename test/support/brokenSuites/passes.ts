// Nothing is wrong here: what another suite of the same process did must not show.
import { test } from "../harness.ts";

test("passes, too", () => {});
