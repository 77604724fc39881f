// Turns a value into a tree for JSON.stringify, with a mark for every value that JSON lacks (docs/CODECS.md, "JSON with
// byte segments"), and the bytes beside it.

import { nameBesideTypedElements } from "./arrayNames.ts";
import { errorProperties } from "./errorValue.ts";
import type { BuiltIn } from "./valueKind.ts";
import { type Step, stepOfKey, stepToKey, stepToMember } from "./valuePath.ts";
import { type Properties, ValueWalk } from "./valueWalk.ts";

const { forEach: forEachEntry } = Map.prototype;
const { forEach: forEachMember } = Set.prototype;

/** The one key of the object that is a mark. */
export const MARK = "$";

/** The walk of one value. It counts the opening brackets and commas of the JSON, plus one. */
export class JsonTree extends ValueWalk {
  /** The bytes beside the JSON, in the order of their numbers. The caller owns their memory. */
  readonly segments: Uint8Array[] = [];
  /** Whether the tree has marks. */
  marked = false;

  protected oddNumber(value: number): unknown {
    return this.#word(value === 0 ? "-0" : String(value));
  }

  protected undefinedValue(): unknown {
    return this.#word("undefined");
  }

  protected bigint(value: bigint): unknown {
    const most = this.limits.maxBigIntBytes;
    const magnitude = value < 0n ? -value : value;
    if (magnitude >> BigInt(8 * most) !== 0n)
      this.refuse(`a bigint has at most ${most} bytes (maxBigIntBytes)`);
    const digits = magnitude.toString(16);
    return this.#pair("bigint", value < 0n ? `-${digits}` : digits);
  }

  protected bareObject(value: object): unknown {
    return this.#wrapped("null", value, { ...value });
  }

  protected plainObject(value: object, copy: Properties): unknown {
    // An object that looks like a mark and is none.
    return MARK in copy ? this.#wrapped("object", value, copy) : this.properties(value, copy);
  }

  protected builtIn(value: object, builtIn: BuiltIn): unknown {
    if (builtIn.kind === "bytes") return this.#bytes(value, builtIn);
    if (builtIn.kind === "error") return this.#error(value, builtIn.name);
    this.refuseProperties(value);
    if (builtIn.kind === "date") return this.#pair("Date", Number.isNaN(builtIn.time) ? null : builtIn.time);
    return builtIn.kind === "map"
      ? this.#map(value as Map<unknown, unknown>)
      : this.#set(value as Set<unknown>);
  }

  /** A mark without a value. */
  #word(word: string): unknown {
    this.count(1);
    this.checkDepth(1);
    this.marked = true;
    return { [MARK]: word };
  }

  /** A mark with one value that contains no others. */
  #pair(tag: string, value: unknown): unknown {
    this.count(3);
    this.checkDepth(2);
    this.marked = true;
    return { [MARK]: [tag, value] };
  }

  /** A mark with values that may contain others; `fill` adds them. */
  #list(value: object, tag: string, fill: (list: unknown[]) => void): unknown {
    const list: unknown[] = [tag];
    this.enter(value, 2);
    this.count(2);
    fill(list);
    this.leave(2);
    this.marked = true;
    return { [MARK]: list };
  }

  #wrapped(tag: string, value: object, copy: Properties): unknown {
    return this.#list(value, tag, (list) => {
      this.count(1);
      list.push(this.properties(value, copy));
    });
  }

  #bytes(value: object, { element, bytes, elements }: BuiltIn & { kind: "bytes" }): unknown {
    if (elements === undefined) this.refuseProperties(value);
    else this.refuseNames(nameBesideTypedElements(value, elements));
    const number = this.segments.push(bytes) - 1;
    if (number >= this.limits.maxSegments)
      this.refuse(`a body has at most ${this.limits.maxSegments} byte segments (maxSegments)`);
    return this.#pair(element, number);
  }

  /** A value of a list, after a comma. */
  #item(step: Step, value: unknown): unknown {
    this.count(1);
    return this.at(step, value);
  }

  #map(value: Map<unknown, unknown>): unknown {
    return this.#list(value, "Map", (list) => {
      let index = 0;
      forEachEntry.call(value, (item, key) => {
        this.countEntry(key);
        list.push(this.#item(stepToKey(index), key));
        list.push(this.#item(stepOfKey(key, index++), item));
      });
    });
  }

  #set(value: Set<unknown>): unknown {
    return this.#list(value, "Set", (list) => {
      let index = 0;
      forEachMember.call(value, (member) => {
        this.countEntry(member);
        list.push(this.#item(stepToMember(index++), member));
      });
    });
  }

  #error(value: object, name: string): unknown {
    return this.#list(value, "Error", (list) => {
      const { message, hidden } = errorProperties(value as Error);
      if (message !== undefined && typeof message !== "string")
        this.refuse("it is an error whose message is no text");
      this.count(2);
      list.push(name, message ?? null);
      for (const properties of [{ ...value }, hidden]) {
        this.count(1);
        list.push(this.properties(value, properties as Properties));
      }
    });
  }
}
