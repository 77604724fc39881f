// Chooses the next inputs: new ones, and changed ones of those that reached something new (a corpus, kept in
// test/fuzz/corpus). Only what a tape reaches decides, not its origin.

import { Random } from "../simulation/random.ts";
import { Coverage } from "./coverage.ts";
import type { Level } from "./level.ts";
import { mutatedTape, Tape } from "./tape.ts";

/** Longer ones are not kept: they hide what it was that mattered. */
const LONGEST_KEPT = 3_000;
const MOST_KEPT = 2_000;
const FRESH = 0.3;
const SHORTENINGS = 60;
/** A failure is shortened until so many attempts in a row were in vain, or as many as its tape has decisions. */
const VAIN_SHORTENINGS = 40;

export interface Found {
  readonly error: unknown;
  readonly decisions: readonly number[];
}

/** What an error says, numbers left out: two of the same kind say the same. */
export const textOf = (error: unknown): string =>
  String((error as Error)?.message ?? error).replace(/\d+/g, "#");

export class Guide {
  readonly #level: Level;
  readonly #random: Random;
  readonly #seed: number;
  #latest = new Tape([], 0);
  readonly coverage: Coverage;
  readonly corpus: number[][] = [];
  inputs = 0;
  runs = 0;
  /** Inputs that were begun, also to shorten others. */
  attempts = 0;
  /** Tapes that reached something new and are too long to be kept: where they are many, nothing is guided. */
  tooLong = 0;

  /** `blocks`: how many there are in the library. */
  constructor(level: Level, seed: number, blocks: number) {
    this.coverage = new Coverage(blocks);
    this.#level = level;
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  /** Plays a tape of the corpus. */
  replay(decisions: readonly number[]): Promise<Found | undefined> {
    return this.#play(new Tape(decisions, 0));
  }

  /** Plays a tape whose failure was shortened when it was found: it is told as it is. */
  async again(decisions: readonly number[]): Promise<Found | undefined> {
    try {
      await this.#run(new Tape(decisions, 0));
      return undefined;
    } catch (error) {
      return { error, decisions };
    }
  }

  /** The next input. */
  next(): Promise<Found | undefined> {
    const { corpus } = this;
    if (corpus.length === 0 || this.#random.chance(FRESH))
      return this.#play(new Tape([], this.#seed + this.runs));
    const tape = mutatedTape(this.#random, this.#random.pick(corpus), this.#random.pick(corpus));
    return this.#play(new Tape(tape, this.#seed + this.runs));
  }

  /** The decisions of the input that was begun last, as far as they were made. */
  get latest(): readonly number[] {
    return this.#latest.decisions;
  }

  #run(tape: Tape): ReturnType<Level["run"]> {
    this.attempts++;
    this.#latest = tape;
    return this.#level.run(tape);
  }

  async #play(tape: Tape): Promise<Found | undefined> {
    this.runs++;
    this.coverage.reset();
    try {
      const inputs = this.#run(tape);
      this.inputs += typeof inputs === "number" ? inputs : await inputs;
    } catch (error) {
      return this.#shortenedFailure({ error, decisions: tape.decisions });
    }
    if (!this.coverage.add()) return undefined;
    if (tape.decisions.length > LONGEST_KEPT) this.tooLong++;
    else if (this.corpus.length < MOST_KEPT) this.corpus.push(tape.decisions);
    return undefined;
  }

  /** Fewer decisions that fail in the same way, where there are. */
  async #shortenedFailure(found: Found): Promise<Found> {
    let best = found;
    const tried = new Set<string>();
    let vain = 0;
    for (let tries = 0; tries < 4 * SHORTENINGS; tries++) {
      if (vain >= Math.min(VAIN_SHORTENINGS, best.decisions.length)) break;
      const decisions = this.#shorter(best.decisions);
      vain++;
      const text = decisions.join();
      if (tried.has(text)) continue;
      tried.add(text);
      try {
        await this.#run(new Tape(decisions, 0));
      } catch (error) {
        if (textOf(error) !== textOf(found.error)) continue;
        best = { error, decisions };
        vain = 0;
      }
    }
    return best;
  }

  #shorter(tape: readonly number[]): number[] {
    const length = Math.max(1, Math.floor(tape.length / this.#random.pick([2, 4, 8, 16, 64])));
    const at = this.#random.between(0, tape.length - length);
    return this.#random.chance(0.3) ? tape.slice(0, tape.length - length) : tape.toSpliced(at, length);
  }

  /** A part of the corpus, shortened, that reaches every block that the whole reaches. */
  async smallest(): Promise<number[][]> {
    const kept: number[][] = [];
    const reached = new Set<number>();
    for (const tape of this.corpus.toSorted((a, b) => a.length - b.length)) {
      const news = (await this.#blocksOf(tape)).filter((block) => !reached.has(block));
      if (news.length === 0) continue;
      const short = await this.#shortened(tape, news);
      for (const block of await this.#blocksOf(short)) reached.add(block);
      kept.push(short);
    }
    return kept;
  }

  async #shortened(tape: number[], wanted: readonly number[]): Promise<number[]> {
    let best = tape;
    for (let tries = this.#level.shortenings ?? SHORTENINGS; tries > 0; tries--) {
      const shorter = this.#shorter(best);
      const blocks = new Set(await this.#blocksOf(shorter));
      if (wanted.every((block) => blocks.has(block))) best = shorter;
    }
    return best;
  }

  async #blocksOf(tape: readonly number[]): Promise<number[]> {
    this.coverage.reset();
    try {
      await this.#run(new Tape(tape, 0));
    } catch {
      return [];
    }
    return this.coverage.blocksNow();
  }
}
