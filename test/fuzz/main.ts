// `fuzz/main.js OPTIONS`, with OPTIONS as JSON, tries inputs of each level in turn, for a time or for a number of runs
// or inputs (0: no limit). An input that fails is printed with its level and its decisions, which `tape` plays again.
// SIGINT and SIGTERM end the program after the current input, with its counts. An input that does not end within some
// seconds of the signal hangs: it is a failure like others, and the program ends without it.

import { readFileSync, writeFileSync } from "node:fs";
import { type Found, Guide, textOf } from "./guide.ts";
import type { Level } from "./level.ts";
import { decodeTape, encodeTape } from "./tape.ts";

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly runs: number;
  /** Of each level, at least; 0 or left out: no limit. */
  readonly inputs?: number;
  readonly levels: readonly string[];
  /** Where the corpus is, one file per level. */
  readonly corpus?: string;
  /** Writes the corpus at the end. */
  readonly keep?: boolean;
  /** Plays one input. */
  readonly tape?: string;
  /** How long after a signal an input may take. */
  readonly hangsAfterMs?: number;
  /** Ends at the first failure. */
  readonly first?: boolean;
  /** Blocks that the library's sources have. */
  readonly blocks: number;
}

const MOST_FAILURES = 10;
/** An input takes milliseconds, or a few seconds with a live server. */
const HANGS_AFTER_MS = 6_000;
const TELL_EVERY_MS = 300_000;
/** Inputs are microtasks: between them nothing else would run, not even what a signal is answered with. */
const TURN_EVERY_MS = 500;

export async function fuzz(levels: readonly Level[], options: FuzzOptions): Promise<void> {
  // Errors are a large part of what happens here: stacks would cost more than everything else.
  Error.stackTraceLimit = options.tape === undefined ? 0 : 50;
  const chosen = levels.filter(({ name }) => options.levels.length === 0 || options.levels.includes(name));
  const inputs: Record<string, number> = {};
  const details: Record<string, object> = {};
  const mostFailures = options.first ? 1 : MOST_FAILURES;
  let failures = 0;
  const known = new Set<string>();

  const tell = (level: string, error: unknown, decisions: readonly number[]): void => {
    failures++;
    if (known.has(textOf(error))) return;
    known.add(textOf(error));
    console.log(`${level}: ${(error as Error)?.stack || error}`);
    if (decisions.length > 0)
      console.log(`  again with --level ${JSON.stringify(level)} --tape ${encodeTape(decisions)}`);
  };
  let stopped = false;
  let current: { level: string; guide: Guide } | undefined;
  const end = (): void => {
    const ended = stopped ? { stopped } : {};
    console.log(JSON.stringify({ seed: options.seed, ...ended, failures, blocks: options.blocks, inputs }));
    process.exit(failures === 0 ? 0 : 1);
  };
  /** Ends the program if no input was begun since it was last called. */
  const endIfHung = (attempts: number): void => {
    const begun = current?.guide.attempts ?? 0;
    if (attempts !== begun) {
      setTimeout(endIfHung, options.hangsAfterMs ?? HANGS_AFTER_MS, begun);
      return;
    }
    if (current !== undefined) {
      const { level, guide } = current;
      inputs[level] = guide.inputs;
      tell(level, new Error("an input hangs"), guide.latest);
    }
    end();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (!stopped) endIfHung(-1);
      stopped = true;
    });
  }
  process.on("unhandledRejection", (error) => tell("an unhandled rejection", error, []));
  process.on("uncaughtException", (error) => tell("an uncaught exception", error, []));
  const told = (level: Level, found: Found | undefined): void => {
    if (found !== undefined) tell(level.name, found.error, found.decisions);
  };

  const runLevel = async (level: Level): Promise<void> => {
    const guide = new Guide(level, options.seed, options.blocks);
    current = { level: level.name, guide };
    const file =
      options.corpus !== undefined && level.isRepeatable !== false
        ? `${options.corpus}/${level.name.replaceAll(" ", "-")}.txt`
        : undefined;
    if (options.tape !== undefined) return told(level, await guide.again(decodeTape(options.tape)));
    const began = Date.now();
    const tapes = file === undefined ? [] : linesOf(file);
    console.log(`${level.name}: ${tapes.length} tapes of its corpus, then others`);
    for (const line of tapes) {
      if (failures < mostFailures) told(level, await guide.replay(decodeTape(line)));
    }
    const until =
      options.seconds === 0 ? Number.POSITIVE_INFINITY : began + (options.seconds * 1_000) / chosen.length;
    const most = options.runs || Number.POSITIVE_INFINITY;
    const mostInputs = options.inputs || Number.POSITIVE_INFINITY;
    let lastTold = began;
    let lastTurn = began;
    let now = began;
    const isOver = () => stopped || guide.inputs >= mostInputs || now >= until || failures >= mostFailures;
    for (let run = 0; run < most && !isOver(); run++) {
      told(level, await guide.next());
      now = Date.now();
      if (now - lastTurn < TURN_EVERY_MS) continue;
      lastTurn = now;
      await new Promise((resolve) => setImmediate(resolve));
      if (now - lastTold < TELL_EVERY_MS) continue;
      lastTold = now;
      console.log(`${new Date().toISOString()} ${level.name}: ${guide.inputs} inputs`);
    }
    const perSecond = Math.round(guide.inputs / ((Date.now() - began) / 1_000));
    inputs[level.name] = guide.inputs;
    details[level.name] = {
      runs: guide.runs,
      perSecond,
      blocks: guide.coverage.blocks,
      corpus: guide.corpus.length,
      tooLong: guide.tooLong,
    };
    console.log(`${level.name}: ${JSON.stringify({ inputs: guide.inputs, ...details[level.name] })}`);
    if (options.keep) await keep(guide, level, file);
  };

  for (const level of chosen) {
    if (stopped) break;
    await runLevel(level);
    try {
      await level.end?.();
    } catch (error) {
      tell(`${level.name}, at its end`, error, []);
    }
  }
  end();
}

async function keep(guide: Guide, { name }: Level, file: string | undefined): Promise<void> {
  const tapes = file === undefined ? [] : await guide.smallest();
  const why = file === undefined ? "it can't be played again" : `${guide.tooLong} tapes were too long`;
  if (tapes.length === 0) console.log(`${name}: no corpus was written: ${why}`);
  else writeFileSync(file!, tapes.map((tape) => `${encodeTape(tape)}\n`).join(""));
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** As scripts/fuzz.js gives them. */
export function givenOptions(): FuzzOptions {
  return JSON.parse(process.argv[2]!) as FuzzOptions;
}
