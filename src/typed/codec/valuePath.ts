// Names where a value is within another, in the manner of RFC 9535 (JSONPath): `$.users[3].born`. JSONPath does not
// know Maps and Sets; their entries are written as the calls that return them.

import { SealwireError } from "../../base/errors.ts";

/** The name of an entry of a Map or a Set in a path. */
export class EntryStep {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A step from a value to one within it: a property, an index, an entry. */
export type Step = string | number | EntryStep;

const LONGEST_NAME = 64;
const MOST_STEPS = 32;

function shortened(text: string): string {
  return text.length <= LONGEST_NAME ? text : `${text.slice(0, LONGEST_NAME)}…`;
}

function stepText(step: Step): string {
  if (step instanceof EntryStep) return step.text;
  if (typeof step === "number") return `[${step}]`;
  return /^[A-Za-z_$][\w$]*$/.test(step) && step.length <= LONGEST_NAME
    ? `.${step}`
    : `[${JSON.stringify(shortened(step))}]`;
}

/** The steps of a path as text; the middle of a long one is left out. */
export function pathOf(steps: readonly Step[]): string {
  const shown =
    steps.length <= MOST_STEPS
      ? steps.map(stepText)
      : [...steps.slice(0, MOST_STEPS / 2).map(stepText), "…", ...steps.slice(-MOST_STEPS / 2).map(stepText)];
  return `$${shown.join("")}`;
}

/** The step to the value of a Map's key. */
export function stepOfKey(key: unknown, index: number): EntryStep {
  if (typeof key === "string") return new EntryStep(`.get(${JSON.stringify(shortened(key))})`);
  if (typeof key === "number" || typeof key === "boolean") return new EntryStep(`.get(${key})`);
  return new EntryStep(`.values()[${index}]`);
}

/** The step to a Map's key. */
export function stepToKey(index: number): EntryStep {
  return new EntryStep(`.keys()[${index}]`);
}

/** The step to a member of a Set. */
export function stepToMember(index: number): EntryStep {
  return new EntryStep(`.values()[${index}]`);
}

/** ERR_ENCODE: the value at `steps` can't be carried. `why` completes "… can't be encoded: ". */
export function notEncodable(steps: readonly Step[], why: string, cause?: unknown): SealwireError {
  const path = pathOf(steps);
  return new SealwireError("ERR_ENCODE", `${path} can't be encoded: ${why}`, { path, cause });
}

/** ERR_DECODE of a whole body, or of the value at `steps` in it. */
export function notDecodable(why: string, steps?: readonly Step[]): SealwireError {
  if (steps === undefined) return new SealwireError("ERR_DECODE", `the body can't be decoded: ${why}`);
  const path = pathOf(steps);
  return new SealwireError("ERR_DECODE", `${path} can't be decoded: ${why}`, { path });
}
