// Decides which suites share a process in the gate. A process that has loaded and compiled the library for one suite
// runs the next ones at a fraction of their cost. Suites that change or measure their process have one of their own.

/** Why these share none, by the name of the suite. */
export const alone = {
  "adapters/olderNode": "hides a function of the runtime",
  "core/arguments": "compares all linear memory with what it was",
  "core/argumentsPlain": "compares all linear memory with what it was",
  "core/bareGlobals": "takes globals away",
  "core/noMessageChannel": "takes globals away",
  "core/noNodeCrypto": "hides node:crypto",
  "core/noRandomness": "hides all sources of randomness",
  "core/lazyStart": "counts what starts the core",
  "core/noWebassembly": "takes WebAssembly away",
  "core/precompiled": "gives a module before the core runs",
  "core/x25519Fallback": "switches the core to another ladder",
  "noise/arguments": "compares all linear memory with what it was",
  "noise/argumentsPlain": "compares all linear memory with what it was",
  "noise/knownPeersDisk": "changes the working directory and the umask of the process",
  "noise/wiping": "searches all linear memory",
  "protocol/frameReader": "measures memory",
  "protocol/receiveMemory": "measures memory",
  "rpc/leftBehind": "looks for what is left in the process",
  "rpc/limits": "measures memory",
  "rpc/secretsAfterFailures": "searches the memory of the process",
  "rpc/secretsInMemory": "searches the memory of the process",
  "rpc/soak": "measures memory",
  "rpc/streamMemory": "measures memory",
  "rpc/timers": "counts the timers of the process and stops its clock",
  "typed/prototypes": "changes what every object of the process has",
  "typed/streams": "waits for the garbage collector",
};

/** A process that dies takes the results of the suites behind with it: not too many. */
const MAX_SUITES = 12;

/** Suites of one kind may share a process: those of the plain build, those of one folder. */
const kindOf = (name) => (name.endsWith("Plain") ? "plain" : name.split("/")[0]);

/**
 * Divides suites among processes.
 *
 * @param {readonly string[]} names
 * @returns {string[][]} every name once, in the order of `names` within a process
 */
export function suiteProcesses(names) {
  const processes = [];
  const open = new Map();
  for (const name of names) {
    const kind = kindOf(name);
    const last = open.get(kind);
    if (Object.hasOwn(alone, name)) {
      processes.push([name]);
    } else if (last === undefined || last.length === MAX_SUITES) {
      const next = [name];
      open.set(kind, next);
      processes.push(next);
    } else {
      last.push(name);
    }
  }
  return processes;
}
