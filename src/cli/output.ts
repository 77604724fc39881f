// The command line writes results to standard output, as text or (--json) as one JSON value per line. It writes text
// that is only for people, such as progress, to standard error.

import process from "node:process";

export interface OutputFlags {
  readonly json: boolean;
}

/** The flag that every command has. */
export const jsonFlag = {
  kind: "boolean",
  brief: "One JSON value per line on standard output",
  default: false,
} as const;

/** Prints a result: the record if JSON is asked for, otherwise the text. */
export function result(flags: OutputFlags, record: object, text: string): void {
  process.stdout.write(`${flags.json ? jsonLine(record) : text}\n`);
}

/** Prints a text for people; never if JSON is asked for. */
export function note(flags: OutputFlags, text: string): void {
  if (!flags.json) process.stderr.write(`${text}\n`);
}

/** A line that overwrites itself, on a terminal only. */
export class ProgressLine {
  readonly #on: boolean;

  constructor(flags: OutputFlags) {
    this.#on = !flags.json && process.stderr.isTTY === true && process.env.TERM !== "dumb";
  }

  show(text: string): void {
    if (this.#on) process.stderr.write(`\r\u001b[K${text}`);
  }

  clear(): void {
    if (this.#on) process.stderr.write("\r\u001b[K");
  }
}

/**
 * Characters that a terminal may obey, that end a line, or that change the order in which text is shown: texts of a peer
 * have no business with them.
 */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text of elsewhere as one line, with such characters written out as JSON writes them. */
export function oneLine(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The same value in JSON, which writes out by itself only some of these characters. */
export function jsonLine(record: object): string {
  return oneLine(JSON.stringify(record));
}

/** The text of an error, with the texts of its causes, as one line. */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && parts.length < 4; at = (at as { cause?: unknown })?.cause) {
    const text = at instanceof Error ? at.message : String(at);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
  }
  return oneLine(parts.join(": "));
}
