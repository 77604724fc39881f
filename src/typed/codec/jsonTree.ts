// A value as a tree that JSON.stringify writes as it stands, with a mark for everything that JSON does not have
// (docs/CODECS.md, "JSON with byte segments"), and the bytes beside it.
//
// Every property is read once, into the tree: a getter or a proxy that says something else the second time can't slip
// anything past the checks, and JSON.stringify never meets an object of the caller's.

import { SealwireError } from "../../base/errors.ts";
import type { ResolvedCodecLimits } from "./codec.ts";
import { errorParts } from "./errorValue.ts";
import { type BuiltIn, builtInOf, isArrayPrototype, isPlainPrototype } from "./valueKind.ts";
import { notEncodable, type Step, stepOfKey, stepToKey, stepToMember } from "./valuePath.ts";

const { getPrototypeOf, getOwnPropertySymbols, keys: keysOf } = Object;
const { forEach: forEachEntry } = Map.prototype;
const { forEach: forEachMember } = Set.prototype;

export type Tree = string | number | boolean | null | Tree[] | { [name: string]: Tree };

/** The one key of the object that is a mark. */
export const MARK = "$";

/** One value on its way into a tree. */
export class JsonTree {
  /** Bytes that go beside the JSON, in the order of their numbers. They are the caller's memory. */
  readonly segments: Uint8Array[] = [];
  /** Whether the tree has marks. */
  marked = false;
  readonly #limits: ResolvedCodecLimits;
  /** Opening brackets and commas of the JSON, and one: what a receiver counts before it parses. */
  #values = 1;
  #entries = 0;
  #depth = 0;
  /** From the root to where the walk is. */
  readonly #steps: Step[] = [];
  /** What is walked through now, and how many steps lead to each: a value that stands there twice is a cycle. */
  readonly #parents: object[] = [];
  readonly #stepsTo: number[] = [];

  constructor(limits: ResolvedCodecLimits) {
    this.#limits = limits;
  }

  /** @throws SealwireError ERR_ENCODE */
  of(value: unknown): Tree {
    try {
      return this.#any(value);
    } catch (error) {
      if (error instanceof SealwireError && error.code === "ERR_ENCODE") throw error;
      // A getter, a trap of a proxy, or a stack that was nearly full.
      throw notEncodable(this.#steps, "it can't be read", error);
    }
  }

  #any(value: unknown): Tree {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        // Finite, and not -0, for which JSON.stringify says 0.
        return value - value === 0 && (value !== 0 || 1 / value > 0) ? value : this.#number(value);
      case "object":
        return value === null ? null : this.#object(value);
      case "undefined":
        return this.#word("undefined");
      case "bigint":
        return this.#bigint(value);
      default:
        return this.#refuse(`it is a ${typeof value}`);
    }
  }

  #refuse(why: string): never {
    throw notEncodable(this.#steps, why);
  }

  #number(value: number): Tree {
    return this.#word(value === 0 ? "-0" : String(value));
  }

  #bigint(value: bigint): Tree {
    const most = this.#limits.maxBigIntBytes;
    const magnitude = value < 0n ? -value : value;
    if (magnitude >> BigInt(8 * most) !== 0n)
      this.#refuse(`a bigint has at most ${most} bytes (maxBigIntBytes)`);
    const digits = magnitude.toString(16);
    return this.#pair("bigint", value < 0n ? `-${digits}` : digits);
  }

  /** A mark without a value. */
  #word(word: string): Tree {
    this.#count(1);
    if (this.#depth + 1 > this.#limits.maxDepth) this.#tooDeep();
    this.marked = true;
    return { [MARK]: word };
  }

  /** A mark with one value that holds no others. */
  #pair(tag: string, value: Tree): Tree {
    this.#count(3);
    if (this.#depth + 2 > this.#limits.maxDepth) this.#tooDeep();
    this.marked = true;
    return { [MARK]: [tag, value] };
  }

  /** A mark with values that may hold others; `fill` adds them. */
  #list(value: object, tag: string, fill: (list: Tree[]) => void): Tree {
    const list: Tree[] = [tag];
    this.#enter(value, 2);
    fill(list);
    this.#leave(2);
    this.marked = true;
    return { [MARK]: list };
  }

  #count(more: number): void {
    this.#values += more;
    if (this.#values > this.#limits.maxValues)
      this.#refuse(`a body has at most ${this.#limits.maxValues} values (maxValues)`);
  }

  #tooDeep(): never {
    return this.#refuse(`a body is nested at most ${this.#limits.maxDepth} deep (maxDepth)`);
  }

  /** Goes into a container, which takes so many brackets of JSON. */
  #enter(value: object, brackets: number): void {
    this.#count(brackets);
    this.#depth += brackets;
    if (this.#depth > this.#limits.maxDepth) {
      this.#refuseCycle();
      this.#tooDeep();
    }
    this.#parents.push(value);
    this.#stepsTo.push(this.#steps.length);
  }

  #leave(brackets: number): void {
    this.#depth -= brackets;
    this.#parents.pop();
    this.#stepsTo.pop();
  }

  /** Looked for only where the walk is too deep: a cycle always is. */
  #refuseCycle(): void {
    const first = new Map<object, number>();
    this.#parents.forEach((parent, i) => {
      const steps = this.#stepsTo[i]!;
      // A container and the mark around it stand in one place.
      if ((first.get(parent) ?? steps) !== steps)
        throw notEncodable(this.#steps.slice(0, steps), "it is a cycle");
      first.set(parent, steps);
    });
  }

  #object(value: object): Tree {
    if (Array.isArray(value)) return this.#array(value);
    const prototype = getPrototypeOf(value) as object | null;
    if (prototype === null) return this.#wrapped("null", value, { ...value });
    if (!isPlainPrototype(prototype)) return this.#builtIn(value, prototype);
    const copy: Record<string, unknown> = { ...value };
    // What looks like a mark and is none.
    if (MARK in copy) return this.#wrapped("object", value, copy);
    return this.#properties(value, copy);
  }

  #wrapped(tag: string, value: object, copy: Record<string, unknown>): Tree {
    return this.#list(value, tag, (list) => {
      this.#count(1);
      list.push(this.#properties(value, copy));
    });
  }

  #array(value: readonly unknown[]): Tree {
    if (!isArrayPrototype(getPrototypeOf(value))) this.#refuse("it is of a subclass of Array");
    const { length } = value;
    this.#enter(value, 1);
    if (length > 1) this.#count(length - 1);
    const tree = new Array<Tree>(length);
    const at = this.#steps.length;
    this.#steps.push(0);
    for (let i = 0; i < length; i++) {
      this.#steps[at] = i;
      const item = value[i];
      if (item === undefined && !(i in value)) this.#refuse("it is a hole in an array");
      tree[i] = this.#any(item);
    }
    this.#steps.pop();
    if (keysOf(value).length !== length || getOwnPropertySymbols(value).length > 0)
      this.#refuse("it is an array with properties beside its elements");
    this.#leave(1);
    return tree;
  }

  /** Makes a tree of `copy`, which holds what `value` has as own enumerable properties. */
  #properties(value: object, copy: Record<string, unknown>): Tree {
    this.#enter(value, 1);
    const at = this.#steps.length;
    this.#steps.push("");
    let first = true;
    for (const name in copy) {
      this.#steps[at] = name;
      if (first) first = false;
      else this.#count(1);
      if (name === "__proto__") this.#refuse("no receiver takes a property of this name");
      const property = copy[name];
      const written = this.#any(property);
      if (written !== property) copy[name] = written;
    }
    this.#steps.pop();
    // Of the object itself: `arguments`, `Math` and the like have prototypes of plain objects, and hidden symbols.
    if (getOwnPropertySymbols(value).length > 0) this.#refuse("it has a symbol for a key");
    this.#leave(1);
    return copy as Tree;
  }

  #builtIn(value: object, prototype: object): Tree {
    const builtIn = builtInOf(value, prototype);
    if (typeof builtIn === "string") return this.#refuse(builtIn);
    if (builtIn.kind === "bytes") return this.#bytes(value, builtIn);
    if (builtIn.kind === "error") return this.#error(value, builtIn.name);
    this.#refuseProperties(value);
    if (builtIn.kind === "date") return this.#pair("Date", Number.isNaN(builtIn.time) ? null : builtIn.time);
    return builtIn.kind === "map"
      ? this.#map(value as Map<unknown, unknown>)
      : this.#set(value as Set<unknown>);
  }

  #refuseProperties(value: object): void {
    if (keysOf(value).length > 0 || getOwnPropertySymbols(value).length > 0)
      this.#refuse("it is a built-in with properties of its own");
  }

  #bytes(value: object, { element, bytes }: BuiltIn & { kind: "bytes" }): Tree {
    // The elements of a typed array are properties, too: to look for others among them would take too long.
    if (element === "ArrayBuffer" || element === "DataView") this.#refuseProperties(value);
    const number = this.segments.push(bytes) - 1;
    if (number >= this.#limits.maxSegments)
      this.#refuse(`a body has at most ${this.#limits.maxSegments} byte segments (maxSegments)`);
    return this.#pair(element, number);
  }

  #entry(): void {
    if (++this.#entries > this.#limits.maxEntries)
      this.#refuse(`a body has at most ${this.#limits.maxEntries} entries of Maps and Sets (maxEntries)`);
  }

  /** A value of a list, behind a comma. */
  #item(value: unknown, step: Step): Tree {
    this.#steps.push(step);
    this.#count(1);
    const tree = this.#any(value);
    this.#steps.pop();
    return tree;
  }

  #map(value: Map<unknown, unknown>): Tree {
    return this.#list(value, "Map", (list) => {
      let index = 0;
      forEachEntry.call(value, (item, key) => {
        this.#entry();
        list.push(this.#item(key, stepToKey(index)));
        list.push(this.#item(item, stepOfKey(key, index++)));
      });
    });
  }

  #set(value: Set<unknown>): Tree {
    return this.#list(value, "Set", (list) => {
      let index = 0;
      forEachMember.call(value, (member) => {
        this.#entry();
        list.push(this.#item(member, stepToMember(index++)));
      });
    });
  }

  #error(value: object, name: string): Tree {
    return this.#list(value, "Error", (list) => {
      const { message, hidden } = errorParts(value as Error);
      if (message !== undefined && typeof message !== "string")
        this.#refuse("it is an error whose message is no text");
      this.#count(2);
      list.push(name, (message as string | undefined) ?? null);
      for (const properties of [{ ...value }, hidden]) {
        this.#count(1);
        list.push(this.#properties(value, properties as Record<string, unknown>));
      }
    });
  }
}
