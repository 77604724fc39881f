// Imports the given module, or nothing, and prints the time from the start of the process until then, in milliseconds
// by the clock and of the processor. Processor time includes all threads, and so the compilation beside.
import process from "node:process";

const [module] = process.argv.slice(2);
if (module !== undefined) await import(module);
const { user, system } = process.cpuUsage();
process.stdout.write(JSON.stringify({ ms: performance.now(), cpuMs: (user + system) / 1_000 }));
