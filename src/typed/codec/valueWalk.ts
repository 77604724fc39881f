// Turns a caller's value into a tree of plain arrays and objects, which the codec owns. Every property is read once,
// into the tree. So a getter or a proxy that returns something else the second time can't bypass the checks, and the
// code that writes the tree never meets an object of the caller's.

import { isSealwireError } from "../../base/errors.ts";
import { nameBesideElements, refusalOfName } from "./arrayNames.ts";
import type { ResolvedCodecLimits } from "./codec.ts";
import { isNumberKey, tooManyNumberKeys } from "./numberKeys.ts";
import { type BuiltIn, builtInOf, isArrayPrototype, isPlainPrototype } from "./valueKind.ts";
import { notEncodable, type Step } from "./valuePath.ts";

const { getPrototypeOf, getOwnPropertySymbols, keys: keysOf } = Object;

/** Own enumerable properties, as they were read. */
export type Properties = Record<string, unknown>;

/** The common walk of the codecs. Each codec defines its own result for values that some formats lack. */
export abstract class ValueWalk {
  protected readonly limits: ResolvedCodecLimits;
  /** The number that the receiver checks before it builds anything; each codec defines it. */
  #values = 1;
  #entries = 0;
  #numberKeys = 0;
  #depth = 0;
  /** The steps from the root to the current value. */
  readonly #steps: Step[] = [];
  /** The enclosing objects, and the number of steps to each. A value that occurs twice among them is a cycle. */
  readonly #parents: object[] = [];
  readonly #stepsTo: number[] = [];

  constructor(limits: ResolvedCodecLimits) {
    this.limits = limits;
  }

  /**
   * The tree of a value.
   *
   * @throws SealwireError ERR_ENCODE
   */
  of(value: unknown): unknown {
    try {
      return this.any(value);
    } catch (error) {
      if (isSealwireError(error) && error.code === "ERR_ENCODE") throw error;
      // A getter, a trap of a proxy, or a stack that was nearly full.
      throw notEncodable(this.#steps, "it can't be read", error);
    }
  }

  /** NaN, ±Infinity or -0. */
  protected abstract oddNumber(value: number): unknown;
  protected abstract undefinedValue(): unknown;
  protected abstract bigint(value: bigint): unknown;
  /** An object without a prototype. */
  protected abstract bareObject(value: object): unknown;
  protected abstract builtIn(value: object, builtIn: BuiltIn): unknown;
  /** A built-in object; `copy` has its properties. */
  protected abstract plainObject(value: object, copy: Properties): unknown;
  /** Values that the walk may leave unchanged; subclasses override this. */
  protected text(value: string): unknown {
    return value;
  }

  protected any(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        return this.text(value);
      case "boolean":
        return value;
      case "number":
        return value - value === 0 && (value !== 0 || 1 / value > 0) ? value : this.oddNumber(value);
      case "object":
        return value === null ? null : this.#object(value);
      case "undefined":
        return this.undefinedValue();
      case "bigint":
        return this.bigint(value);
      default:
        return this.refuse(`it is a ${typeof value}`);
    }
  }

  protected refuse(why: string): never {
    throw notEncodable(this.#steps, why);
  }

  protected count(more: number): void {
    this.#values += more;
    if (this.#values > this.limits.maxValues)
      this.refuse(`a body has at most ${this.limits.maxValues} values (maxValues)`);
  }

  /** Counts an entry with this key, or a member. */
  protected countEntry(key: unknown): void {
    if (++this.#entries > this.limits.maxEntries)
      this.refuse(`a body has at most ${this.limits.maxEntries} entries of Maps and Sets (maxEntries)`);
    if (isNumberKey(key) && ++this.#numberKeys > this.limits.maxNumberKeys)
      this.refuse(tooManyNumberKeys(this.limits));
  }

  protected checkDepth(more: number): void {
    if (this.#depth + more > this.limits.maxDepth)
      this.refuse(`a body is nested at most ${this.limits.maxDepth} deep (maxDepth)`);
  }

  /** Enters a container that counts for this many levels. */
  protected enter(value: object, levels: number): void {
    if (this.#depth + levels > this.limits.maxDepth) {
      this.#parents.push(value);
      this.#stepsTo.push(this.#steps.length);
      this.#refuseCycle();
      this.checkDepth(levels);
    }
    this.#depth += levels;
    this.#parents.push(value);
    this.#stepsTo.push(this.#steps.length);
  }

  protected leave(levels: number): void {
    this.#depth -= levels;
    this.#parents.pop();
    this.#stepsTo.pop();
  }

  /** Checked only when the walk is too deep, which every cycle is. */
  #refuseCycle(): void {
    const first = new Map<object, number>();
    this.#parents.forEach((parent, i) => {
      const steps = this.#stepsTo[i]!;
      // A container and the mark around it have one path.
      if ((first.get(parent) ?? steps) !== steps)
        throw notEncodable(this.#steps.slice(0, steps), "it is a cycle");
      first.set(parent, steps);
    });
  }

  #object(value: object): unknown {
    if (Array.isArray(value)) return this.#array(value);
    const prototype = getPrototypeOf(value) as object | null;
    if (prototype === null) return this.bareObject(value);
    if (isPlainPrototype(prototype)) return this.plainObject(value, { ...value });
    const builtIn = builtInOf(value, prototype);
    return typeof builtIn === "string" ? this.refuse(builtIn) : this.builtIn(value, builtIn);
  }

  #array(value: readonly unknown[]): unknown[] {
    if (!isArrayPrototype(getPrototypeOf(value))) this.refuse("it is of a subclass of Array");
    const { length } = value;
    if (!Number.isInteger(length)) this.refuse("it is an array without a length");
    this.enter(value, 1);
    this.countItems(length);
    const tree = new Array<unknown>(length);
    const at = this.#steps.length;
    this.#steps.push(0);
    for (let i = 0; i < length; i++) {
      this.#steps[at] = i;
      const item = value[i];
      if (item === undefined && !(i in value)) this.refuse("it is a hole in an array");
      tree[i] = this.any(item);
    }
    this.#steps.pop();
    this.refuseNames(nameBesideElements(value, length));
    this.leave(1);
    return tree;
  }

  /** Counts a container with this many items, whatever length a proxy reports. */
  protected countItems(length: number): void {
    this.count(1);
    if (length > 1) this.count(length - 1);
  }

  /** Makes a tree of `copy`, which has the own enumerable properties of `value`. */
  protected properties(value: object, copy: Properties): Properties {
    this.enter(value, 1);
    this.count(1);
    const at = this.#steps.length;
    this.#steps.push("");
    let first = true;
    for (const name in copy) {
      this.#steps[at] = name;
      if (first) first = false;
      else this.count(1);
      if (name === "__proto__") this.refuse("no receiver takes a property of this name");
      const property = copy[name];
      const written = this.any(property);
      if (written !== property) copy[name] = written;
    }
    this.#steps.pop();
    // Checked on the object itself: `arguments`, `Math` and others have prototypes of plain objects, and hidden
    // symbols.
    if (getOwnPropertySymbols(value).length > 0) this.refuse("it has a symbol for a key");
    this.leave(1);
    return copy;
  }

  protected refuseNames(name: PropertyKey | undefined): void {
    if (name !== undefined) this.refuse(refusalOfName(name));
  }

  protected refuseProperties(value: object): void {
    if (keysOf(value).length > 0 || getOwnPropertySymbols(value).length > 0)
      this.refuse("it is a built-in with properties of its own");
  }

  /** A value within another. */
  protected at(step: Step, value: unknown): unknown {
    this.#steps.push(step);
    const tree = this.any(value);
    this.#steps.pop();
    return tree;
  }
}
