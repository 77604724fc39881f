// Every suite in the current Node.
import { registerSuites } from "./support/suiteRows.ts";

await registerSuites("node-current");
