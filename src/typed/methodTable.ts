// The methods of an API by name, found once. A call looks its name up in a Map and nowhere else, so a caller can reach
// nothing that is not in the Map.

import { invalidArgument } from "../base/errors.ts";
import { definitionOf, isHandler, type MethodDefinition } from "./method.ts";

/** One method in the form in which it is called. */
export interface MethodEntry {
  readonly name: string;
  /** A plain function takes the caller's arguments and nothing else; undefined for methods that `method` made. */
  readonly plain: ((...args: unknown[]) => unknown) | undefined;
  /** The object of a plain function: its `this`. */
  readonly owner: object;
  readonly definition: MethodDefinition | undefined;
}

const MAX_DEPTH = 16;
const MAX_METHODS = 65_536;
const MAX_NAME_BYTES = 1_024;
/** Names that every object has, or that a promise would have. No remote object has them. */
const unreachable = new Set([
  "__proto__",
  "constructor",
  "prototype",
  "then",
  "catch",
  "finally",
  "toJSON",
  "toString",
  "toLocaleString",
  "valueOf",
]);

/** Whether a method or a group of methods may have this name. */
export function isReachable(name: string): boolean {
  return name !== "" && !name.startsWith("$") && !name.includes(".") && !unreachable.has(name);
}

/**
 * Every method of `api`, by its name with dots. Only own properties of plain objects count.
 *
 * @throws SealwireError ERR_INVALID_ARGUMENT naming the part that can't be served
 */
export function methodTable(api: object): ReadonlyMap<string, MethodEntry> {
  const table = new Map<string, MethodEntry>();
  addMethods(table, api, "", 0);
  if (table.size === 0) throw invalidArgument("api", "an object with methods");
  return table;
}

function addMethods(table: Map<string, MethodEntry>, owner: unknown, prefix: string, depth: number): void {
  const where = prefix === "" ? "api" : `api.${prefix.slice(0, -1)}`;
  if (!isPlainObject(owner))
    throw invalidArgument(where, "a plain object, a function, or what method() makes");
  if (depth > MAX_DEPTH)
    throw invalidArgument(where, `nested at most ${MAX_DEPTH} deep, and not within itself`);
  for (const [key, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
    const name = prefix + key;
    if (!isReachable(key))
      throw invalidArgument(`api.${name}`, 'named otherwise: no "", ".", "$…" nor what every object has');
    if (get !== undefined) throw invalidArgument(`api.${name}`, "a value: a getter is none");
    if (name.length * 3 > MAX_NAME_BYTES) throw invalidArgument(`api.${name}`, "named shorter");
    if (table.size >= MAX_METHODS) throw invalidArgument("api", `of at most ${MAX_METHODS} methods`);
    if (isHandler(value)) {
      table.set(name, { name, plain: value, owner, definition: undefined });
      continue;
    }
    const definition = typeof value === "object" && value !== null ? definitionOf(value) : undefined;
    if (definition === undefined) addMethods(table, value, `${name}.`, depth + 1);
    else table.set(name, { name, plain: undefined, owner, definition });
  }
}

/** An object literal, an object of `Object.create(null)`, or the namespace of a module. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
