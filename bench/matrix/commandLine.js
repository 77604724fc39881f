// How the commands of the benches read their arguments.
import process from "node:process";

/**
 * What `parse` makes of the program's arguments. If it throws, the program ends with the error's text and `usage`.
 *
 * @template T
 * @param {(args: string[]) => T} parse
 * @param {string} usage
 * @returns {T}
 */
export function settingsOrUsage(parse, usage) {
  try {
    return parse(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}
