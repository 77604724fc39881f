// Imports the module that it is given, or nothing, and prints what the process took from its start until then:
// milliseconds by the clock, and of the processor (all threads, so with what compiles beside).
import process from "node:process";

const [module] = process.argv.slice(2);
if (module !== undefined) await import(module);
const { user, system } = process.cpuUsage();
process.stdout.write(JSON.stringify({ ms: performance.now(), cpuMs: (user + system) / 1_000 }));
