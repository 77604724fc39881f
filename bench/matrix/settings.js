// The settings of a run, from the command line: what it does and for how long.
import { contenders } from "./contenders/contender.js";

export const usage = `npm run bench -- [options] [filter ...]

  --quick          shorter slices, fewer sizes and contenders (about two minutes)
  --rounds <n>     rounds of every row, at least 5 (default 5)
  --slice <ms>     length of one timed slice (default 80, with --quick 25)
  --out <folder>   where results go (default bench/results)
  --keep-memory    allocators keep freed memory, for machines where the first touch of a page takes microseconds
  --help

A filter is a runtime (node20 and so on, bun, deno), a payload size in bytes, or a name: a contender
(${contenders.map(({ id }) => id).join(", ")}), a section (imports, aead, rows, sweep, pairs, heap, handshakes, idle,
scaling, streams, typed) or a row (Send, SendNoWait, Request, ParallelSend, ParallelSendNoWait, ParallelRequest).
Filters of one kind add up, filters of different kinds narrow each other down.`;

export const SECTIONS = [
  "imports",
  "aead",
  "rows",
  "sweep",
  "pairs",
  "heap",
  "handshakes",
  "idle",
  "scaling",
  "streams",
  "typed",
];

/** The Go library's six rows. A "Parallel" row has 64 concurrent callers on one connection. */
export const ROWS = [
  { row: "Send", kind: "send", outstanding: 1 },
  { row: "SendNoWait", kind: "sendNoWait", outstanding: 1 },
  { row: "Request", kind: "request", outstanding: 1 },
  { row: "ParallelSend", kind: "send", outstanding: 64 },
  { row: "ParallelSendNoWait", kind: "sendNoWait", outstanding: 64 },
  { row: "ParallelRequest", kind: "request", outstanding: 64 },
];

export const ROW_SIZE = 1_400;

// With the defaults and with views. Where no body arrives (handshakes, idle connections), and where lengths, pairs or
// numbers of connections are compared with each other, the defaults alone run.
const OURS = ["sealwire", "sealwire-views"];

// What shows what one part brings; these run in the rows of 1,400 bytes alone.
const PARTS = ["sealwire-chacha", "sealwire-wasm", "sealwire-unbundled"];

const full = {
  quick: false,
  sliceMs: 80,
  // The compilers of all four runtimes need up to half a second of a row before they are done with it; the sweep
  // comes after the rows and runs the same code.
  warmUpMs: 400,
  sweepWarmUpMs: 120,
  sweepSliceMs: 50,
  sizes: [16, 64, 256, 1_400, 4_096, 16_384, 65_536, 1_048_576],
  sweepContenders: [...OURS, "sealwire-chacha", "raw", "tls", "tls-node", "ws"],
  rowContenders: contenders.map(({ id }) => id),
  pinnedContenders: [...OURS, "raw", "tls", "tls-node"],
  idleContenders: ["sealwire", "raw", "tls"],
  heapContenders: contenders.map(({ id }) => id).filter((id) => !PARTS.includes(id)),
  heapRows: ["Send", "SendNoWait", "Request", "ParallelRequest"],
  handshakeCount: 128,
  idleSteps: [1_000, 5_000],
  scalingMessages: [10_000, 100_000, 1_000_000, 10_000_000],
  scalingConnections: [1, 10, 100, 1_000],
  scalingInFlight: [1, 4, 16, 64, 256, 1_024],
  streamContenders: ["sealwire", "raw", "grpc"],
  streamSizes: [1_400, 65_536],
  // Each slice of a stream opens it, lets its credit grow and waits for its end.
  streamSliceMs: 200,
  besideSliceMs: 500,
  delayedSliceMs: 2_000,
  delayedRuns: 2,
};

const quick = {
  ...full,
  quick: true,
  sliceMs: 25,
  warmUpMs: 100,
  sweepWarmUpMs: 40,
  sweepSliceMs: 15,
  sizes: [64, 1_400, 65_536, 1_048_576],
  sweepContenders: [...OURS, "sealwire-chacha", "raw", "tls", "tls-node"],
  rowContenders: [...OURS, "sealwire-chacha", "raw", "tls", "tls-node"],
  heapRows: ["SendNoWait", "ParallelRequest"],
  heapContenders: OURS,
  idleContenders: ["sealwire", "raw"],
  handshakeCount: 16,
  idleSteps: [1_000],
  scalingMessages: [10_000, 100_000, 1_000_000],
  scalingConnections: [1, 10, 100],
  scalingInFlight: [1, 16, 128, 1_024],
  streamContenders: ["sealwire", "raw"],
  streamSizes: [1_400],
  streamSliceMs: 80,
  besideSliceMs: 200,
  delayedSliceMs: 1_200,
  delayedRuns: 1,
};

// A process that keeps its memory touches new pages until its heap is as large as it gets.
const keepingMemory = { warmUpMs: 1_500, sweepWarmUpMs: 400 };

const RUNTIME = /^(?:node\d\d|bun|deno)$/;

/**
 * @param {string[]} args without the program's name
 * @throws {Error} that names the argument that means nothing
 */
export function parseArguments(args) {
  const keepMemory = args.includes("--keep-memory");
  const settings = {
    ...(args.includes("--quick") ? quick : full),
    ...(keepMemory ? keepingMemory : {}),
    rounds: 5,
    out: undefined,
    keepMemory,
  };
  const filters = { runtimes: [], sizes: [], contenders: [], sections: [], rows: [] };
  const rest = args.filter((argument) => argument !== "--quick" && argument !== "--keep-memory");
  while (rest.length > 0) {
    const argument = rest.shift();
    if (argument === "--rounds") settings.rounds = wholeNumber(argument, rest.shift(), 5);
    else if (argument === "--slice") settings.sliceMs = wholeNumber(argument, rest.shift(), 5);
    else if (argument === "--out") settings.out = rest.shift();
    else if (argument === "--help") settings.help = true;
    else addFilter(filters, argument);
  }
  return { ...settings, filters, sizes: filters.sizes.length > 0 ? filters.sizes : settings.sizes };
}

function wholeNumber(option, text, least) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`${option} must be a whole number ≥ ${least}`);
  return value;
}

function addFilter(filters, argument) {
  const name = argument.toLowerCase();
  const row = ROWS.find((candidate) => candidate.row.toLowerCase() === name);
  if (RUNTIME.test(name)) filters.runtimes.push(name);
  else if (/^\d+$/.test(name)) filters.sizes.push(Math.max(1, Number(name)));
  else if (contenders.some(({ id }) => id === name)) filters.contenders.push(name);
  else if (SECTIONS.includes(name)) filters.sections.push(name);
  else if (row !== undefined) filters.rows.push(row.row);
  else throw new Error(`${argument} is no option, runtime, size, contender, section or row`);
}

/** True where nothing of this kind was asked for, or this was. */
export function wanted(filter, value) {
  return filter.length === 0 || filter.includes(value);
}
