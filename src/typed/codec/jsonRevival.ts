// Replaces each mark in a tree of JSON.parse by its value (docs/CODECS.md). The tree is changed in place. Its depth and
// its number of values were checked before it was parsed.

import { isSealwireError } from "../../base/errors.ts";
import type { ResolvedCodecLimits } from "./codec.ts";
import { elementArray, isElementArray } from "./elementArrays.ts";
import { errorOf, isHiddenPart } from "./errorValue.ts";
import { MARK } from "./jsonTree.ts";
import { isNumberKey, tooManyNumberKeys } from "./numberKeys.ts";
import { errorClasses } from "./valueKind.ts";
import { notDecodable, type Step, stepOfKey, stepToKey, stepToMember } from "./valuePath.ts";

type Parsed = Record<string, unknown>;

const LONGEST_TIME = 8.64e15;
const words = new Map<unknown, unknown>([
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

function isObject(value: unknown): value is Parsed {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws if a tree without marks has a property that no receiver may accept. */
export function refuseProto(value: unknown, steps: Step[] = []): void {
  if (typeof value !== "object" || value === null) return;
  const items: readonly (readonly [Step, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  for (const [step, item] of items) {
    steps.push(step);
    if (step === "__proto__") throw notDecodable("a property of this name is refused", steps);
    refuseProto(item, steps);
    steps.pop();
  }
}

/** One tree with marks. */
export class JsonRevival {
  readonly #segments: readonly Uint8Array[];
  readonly #limits: ResolvedCodecLimits;
  /** A segment that several marks named would be copied several times, so each may be named once. */
  readonly #taken: Set<number> = new Set();
  #entries = 0;
  #numberKeys = 0;
  readonly #steps: Step[] = [];

  constructor(segments: readonly Uint8Array[], limits: ResolvedCodecLimits) {
    this.#segments = segments;
    this.#limits = limits;
  }

  /** @throws SealwireError ERR_DECODE */
  of(tree: unknown): unknown {
    const value = this.#whole(tree);
    if (this.#taken.size < this.#segments.length)
      throw notDecodable("it has a byte segment that no mark names");
    return value;
  }

  #whole(tree: unknown): unknown {
    try {
      return this.#any(tree);
    } catch (error) {
      if (isSealwireError(error)) throw error;
      // The engine's own limits, or a stack that was nearly full.
      throw notDecodable("it can't be made here", this.#steps);
    }
  }

  #refuse(why: string): never {
    throw notDecodable(why, this.#steps);
  }

  #any(tree: unknown): unknown {
    if (typeof tree !== "object" || tree === null) return tree;
    if (Array.isArray(tree)) return this.#array(tree);
    return Object.hasOwn(tree, MARK) ? this.#mark(tree as Parsed) : this.#properties(tree as Parsed);
  }

  #at(step: Step, tree: unknown): unknown {
    this.#steps.push(step);
    const value = this.#any(tree);
    this.#steps.pop();
    return value;
  }

  #array(tree: unknown[]): unknown[] {
    for (let i = 0; i < tree.length; i++) {
      const item = tree[i];
      if (typeof item === "object" && item !== null) tree[i] = this.#at(i, item);
    }
    return tree;
  }

  #properties(tree: Parsed): Parsed {
    for (const name of Object.keys(tree)) {
      if (name === "__proto__") {
        this.#steps.push(name);
        this.#refuse("a property of this name is refused");
      }
      const item = tree[name];
      if (typeof item === "object" && item !== null) tree[name] = this.#at(name, item);
    }
    return tree;
  }

  #mark(tree: Parsed): unknown {
    const mark = tree[MARK];
    if (Object.keys(tree).length !== 1) this.#refuse("it is a mark with other properties");
    if (words.has(mark)) return words.get(mark);
    if (!Array.isArray(mark)) return this.#refuse("it is no mark of this version");
    const [tag, ...list] = mark as unknown[];
    if (tag === "Map") return this.#map(list);
    if (tag === "Set") return this.#set(list);
    if (tag === "Error") return this.#error(list);
    if (typeof tag !== "string" || list.length !== 1) return this.#refuse("it is no mark of this version");
    return this.#pair(tag, list[0]);
  }

  #pair(tag: string, value: unknown): unknown {
    switch (tag) {
      case "object":
        return this.#properties(this.#object(value));
      case "null":
        return Object.assign(Object.create(null), this.#properties(this.#object(value)));
      case "Date":
        return this.#date(value);
      case "bigint":
        return this.#bigint(value);
      default:
        return this.#bytes(tag, value);
    }
  }

  #object(value: unknown): Parsed {
    return isObject(value) ? value : this.#refuse("it is a mark of an object without one");
  }

  #date(time: unknown): Date {
    if (time === null) return new Date(Number.NaN);
    if (!Number.isInteger(time) || Math.abs(time as number) > LONGEST_TIME)
      return this.#refuse("it is a Date without a time");
    return new Date(time as number);
  }

  #bigint(digits: unknown): bigint {
    const most = 2 * this.#limits.maxBigIntBytes;
    if (typeof digits !== "string" || digits.length - (digits[0] === "-" ? 1 : 0) > most)
      return this.#refuse(`a bigint has at most ${this.#limits.maxBigIntBytes} bytes (maxBigIntBytes)`);
    // The only form that this package writes, so each value has one text.
    if (!/^(?:0|-?[1-9a-f][0-9a-f]*)$/.test(digits)) return this.#refuse("it is a bigint without its digits");
    return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
  }

  #bytes(tag: string, number: unknown): unknown {
    if (!isElementArray(tag)) return this.#refuse("it is no mark of this version");
    const segment = this.#segments[number as number];
    if (!Number.isInteger(number) || segment === undefined)
      return this.#refuse("its byte segment is not there");
    if (this.#taken.has(number as number)) return this.#refuse("its byte segment has been taken");
    this.#taken.add(number as number);
    const value = elementArray(tag, segment);
    return typeof value === "string" ? this.#refuse(value) : value;
  }

  #countEntries(more: number): void {
    this.#entries += more;
    if (this.#entries > this.#limits.maxEntries)
      this.#refuse(`a body has at most ${this.#limits.maxEntries} entries of Maps and Sets (maxEntries)`);
  }

  /** Before the key is looked for. */
  #countKey(key: unknown): void {
    if (isNumberKey(key) && ++this.#numberKeys > this.#limits.maxNumberKeys)
      this.#refuse(tooManyNumberKeys(this.#limits));
  }

  #map(list: unknown[]): Map<unknown, unknown> {
    if (list.length % 2 !== 0) this.#refuse("it is a Map with half an entry");
    this.#countEntries(list.length / 2);
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < list.length; i += 2) {
      const key = this.#at(stepToKey(i / 2), list[i]);
      this.#countKey(key);
      map.set(key, this.#at(stepOfKey(key, i / 2), list[i + 1]));
    }
    if (map.size !== list.length / 2) this.#refuse("it is a Map with one key twice");
    return map;
  }

  #set(list: unknown[]): Set<unknown> {
    this.#countEntries(list.length);
    const set = new Set<unknown>();
    for (const [i, tree] of list.entries()) {
      const member = this.#at(stepToMember(i), tree);
      this.#countKey(member);
      set.add(member);
    }
    if (set.size !== list.length) this.#refuse("it is a Set with one member twice");
    return set;
  }

  #error([name, message, properties, hidden, ...more]: unknown[]): Error {
    if (typeof name !== "string" || !errorClasses.has(name) || more.length > 0)
      return this.#refuse("it is an error of no known class");
    if (message !== null && typeof message !== "string")
      return this.#refuse("it is an error without its message");
    const inside = this.#properties(this.#object(hidden));
    if (!Object.keys(inside).every(isHiddenPart)) return this.#refuse("it is an error with an unknown part");
    return errorOf(name, message ?? undefined, this.#properties(this.#object(properties)), inside);
  }
}
