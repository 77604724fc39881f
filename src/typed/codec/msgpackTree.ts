// Turns a value into a tree that @msgpack/msgpack writes unchanged. Values that the library would change are refused.

import { nameBesideTypedElements } from "./arrayNames.ts";
import type { BuiltIn } from "./valueKind.ts";
import { type Properties, ValueWalk } from "./valueWalk.ts";

const LEAST_INT64 = -(2n ** 63n);
const MOST_UINT64 = 2n ** 64n - 1n;

const wellFormed = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed;

function isWellFormed(text: string): boolean {
  return wellFormed === undefined ? !/\p{Surrogate}/u.test(text) : wellFormed.call(text);
}

/** One value on its way into a tree. It counts values, and one for each array and map. */
export class MsgpackTree extends ValueWalk {
  /** The byte arrays of the tree, and how long each was when it was met. */
  readonly segments: { readonly bytes: Uint8Array; readonly length: number }[] = [];

  protected override text(value: string): unknown {
    return isWellFormed(value) ? value : this.refuse("MessagePack has no text with half a surrogate pair");
  }

  protected oddNumber(value: number): unknown {
    return value === 0 ? this.refuse("it is -0, which MessagePack would make 0") : value;
  }

  protected undefinedValue(): unknown {
    return this.refuse("it is undefined, which MessagePack would make null");
  }

  protected bigint(value: bigint): unknown {
    return value >= LEAST_INT64 && value <= MOST_UINT64
      ? value
      : this.refuse("MessagePack has no bigints beyond 64 bits");
  }

  protected bareObject(): unknown {
    return this.refuse("it is an object without a prototype, which MessagePack would give one");
  }

  protected plainObject(value: object, copy: Properties): unknown {
    for (const name in copy) {
      if (!isWellFormed(name)) this.refuse("it has a key with half a surrogate pair");
    }
    return this.properties(value, copy);
  }

  protected builtIn(value: object, builtIn: BuiltIn): unknown {
    if (builtIn.kind === "bytes" && builtIn.element === "Uint8Array") {
      this.refuseNames(nameBesideTypedElements(value, builtIn.elements ?? 0));
      return this.#bytes(builtIn.bytes);
    }
    if (builtIn.kind === "date") {
      this.refuseProperties(value);
      if (Number.isNaN(builtIn.time)) this.refuse("it is an invalid Date");
      return new Date(builtIn.time);
    }
    const name = "element" in builtIn ? builtIn.element : "name" in builtIn ? builtIn.name : builtIn.kind;
    return this.refuse(`MessagePack has no ${name}`);
  }

  #bytes(bytes: Uint8Array): unknown {
    if (this.segments.push({ bytes, length: bytes.length }) > this.limits.maxSegments)
      this.refuse(`a body has at most ${this.limits.maxSegments} byte arrays (maxSegments)`);
    return bytes;
  }
}
