// The command line writes results to standard output, as text or (--json) as one JSON value per line. It writes text
// that is only for people, such as progress, to standard error.

import process from "node:process";
import { oneLine } from "../core/text.ts";

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

/** A record as a line of JSON, which by itself writes out only some of the characters that a terminal may obey. */
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
