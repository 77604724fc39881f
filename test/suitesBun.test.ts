// Every suite in Bun.
import { registerSuites } from "./support/suiteRows.ts";

await registerSuites("bun");
