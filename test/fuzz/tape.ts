// The decisions that made an input, as numbers of 32 bits. Every function that takes a `Random` can be played again,
// and its decisions can be changed, cut and spliced. The inputs stay well formed if the level makes well-formed ones.

import { Random } from "../simulation/random.ts";

/** Decisions beyond this are not kept: such an input is played again by its first ones alone. */
const MOST_DECISIONS = 20_000;

export class Tape extends Random {
  readonly #given: readonly number[];
  /** All decisions so far. */
  readonly decisions: number[] = [];

  /** The decisions are those given, then chance by the seed. */
  constructor(given: readonly number[], seed: number) {
    super(seed);
    this.#given = given;
  }

  override word(): number {
    const at = this.decisions.length;
    const word = at < this.#given.length ? this.#given[at]! : super.word();
    if (at < MOST_DECISIONS) this.decisions.push(word);
    return word;
  }

  /** One decision, whatever the length. */
  override bytes(length: number): Uint8Array<ArrayBuffer> {
    return new Random(this.word()).bytes(length);
  }
}

export function encodeTape(decisions: readonly number[]): string {
  return Buffer.from(Uint32Array.from(decisions).buffer).toString("base64");
}

export function decodeTape(text: string): number[] {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return [...new Uint32Array(bytes.buffer, 0, bytes.length >> 2)];
}

/** A copy with some decisions changed, left out, doubled, or taken from another input. */
export function mutatedTape(
  random: Random,
  decisions: readonly number[],
  other: readonly number[],
): number[] {
  let tape = [...decisions];
  for (let changes = random.pick([1, 1, 2, 4, 10]); changes > 0; changes--) {
    const at = random.between(0, Math.max(tape.length - 1, 0));
    const length = random.between(1, random.pick([1, 4, 40]));
    switch (random.between(0, 6)) {
      case 0:
      case 1:
        tape[at] = random.word();
        break;
      case 2:
        tape[at] = random.pick([0, 0xffffffff, tape[at]! ^ (1 << random.between(0, 31))]) >>> 0;
        break;
      case 3:
        tape.splice(at, length);
        break;
      case 4:
        tape.splice(at, 0, ...tape.slice(at, at + length));
        break;
      case 5:
        tape.splice(at, 0, ...Array.from({ length: Math.min(length, 8) }, () => random.word()));
        break;
      default:
        tape = [...tape.slice(0, at), ...other.slice(random.between(0, other.length))];
    }
  }
  return tape.slice(0, MOST_DECISIONS);
}
