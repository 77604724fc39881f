// Every suite in the machine's Node.
import { registerSuites } from "./support/suiteRows.ts";

await registerSuites("node");
