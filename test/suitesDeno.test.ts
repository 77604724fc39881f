// Every suite in Deno.
import { registerSuites } from "./support/suiteRows.ts";

await registerSuites("deno");
