// Looks for secrets in all memory that this process can write: heap, array buffers, linear memory, the runtime's own.
// Linux only (/proc/self/mem). The searching code must not hold the bytes that it looks for. A secret is therefore kept
// as two halves, whose exclusive or is the secret, and is put together only for moments.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { secretBytes } from "../../src/core/wipe.ts";
import { runtimeId } from "./harness.ts";

/** A secret that is nowhere in memory as such. */
export class HiddenSecret {
  readonly name: string;
  readonly #left: Uint8Array;
  readonly #right: Uint8Array;

  /** Takes the secret over and leaves zeros where it was. With `right`, it is the one half of it, and `right` the other. */
  constructor(name: string, secret: Uint8Array, right?: Uint8Array) {
    this.name = name;
    if (right !== undefined) {
      this.#left = secret;
      this.#right = right;
      return;
    }
    this.#right = crypto.getRandomValues(new Uint8Array(secret.length));
    this.#left = secret.map((byte, i) => byte ^ this.#right[i]!);
    secret.fill(0);
  }

  /** A copy, where no collector moves it; the caller wipes it. */
  reveal(): Uint8Array<ArrayBuffer> {
    const secret = secretBytes(this.#left.length);
    for (let i = 0; i < secret.length; i++) secret[i] = this.#left[i]! ^ this.#right[i]!;
    return secret;
  }

  /** How many of its bytes, from its first on, are in `bytes` at `at`. */
  bytesAt(bytes: Uint8Array, at: number, end: number): number {
    const most = Math.min(this.#left.length, end - at);
    let i = 0;
    while (i < most && (bytes[at + i]! ^ this.#right[i]!) === this.#left[i]!) i++;
    return i;
  }

  get firstByte(): number {
    return this.#left[0]! ^ this.#right[0]!;
  }
}

const CHUNK_BYTES = 1_048_576;
/** So many bytes of a secret are one. */
const FOUND_BYTES = 16;
/** A secret may begin in what was read before, and its rest may lie behind. */
const OVERLAP_BYTES = FOUND_BYTES - 1;
const BEHIND_BYTES = 64;
const chunk = new Uint8Array(OVERLAP_BYTES + CHUNK_BYTES + BEHIND_BYTES);

const PAGE_BYTES = 4_096;
/** A page's entry in /proc/self/pagemap. The upper bits of its last byte: it is in memory, or swapped out. */
const ENTRY_BYTES = 8;
const IS_THERE = 0xc0;
const entries = new Uint8Array((CHUNK_BYTES / PAGE_BYTES) * ENTRY_BYTES);

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The writable mappings of this process, without those of devices. */
function writableMappings(): Range[] {
  return readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) rw\S* \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      if (start === undefined || name!.startsWith("/dev/") || name!.startsWith("[v")) return [];
      return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end!, 16) }];
    });
}

/** The pages of a mapping that exist, as ranges of a chunk at most: runtimes reserve gigabytes that they never touch. */
function* touchedRanges(pagemap: number, { start, end }: Range): Generator<Range> {
  for (let from = start; from < end; from += CHUNK_BYTES) {
    const pages = Math.min(CHUNK_BYTES, end - from) / PAGE_BYTES;
    const length = readSync(pagemap, entries, 0, pages * ENTRY_BYTES, (from / PAGE_BYTES) * ENTRY_BYTES);
    const isThere = (page: number) => (entries[(page + 1) * ENTRY_BYTES - 1]! & IS_THERE) !== 0;
    const known = length / ENTRY_BYTES;
    for (let page = 0; page < known; page++) {
      if (!isThere(page)) continue;
      const first = page;
      while (page < known && isThere(page)) page++;
      yield { start: from + first * PAGE_BYTES, end: from + page * PAGE_BYTES };
    }
  }
}

/** Memory that is this process's own and in use. */
function ownBytes(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))![1]) * 1_024;
}

/**
 * How often each secret (its first 16 bytes) is in memory, by name; how many of its bytes were there at most in one place; and
 * how many bytes were looked at.
 */
export function findSecrets(secrets: readonly HiddenSecret[]): {
  found: Record<string, number>;
  longest: Record<string, number>;
  bytes: number;
} {
  const found: Record<string, number> = {};
  const longest: Record<string, number> = {};
  const byFirst = new Map<number, HiddenSecret[]>();
  for (const secret of secrets) {
    const same = byFirst.get(secret.firstByte) ?? [];
    byFirst.set(secret.firstByte, [...same, secret]);
  }
  const wanted = Array.from({ length: 256 }, (_, byte) => byFirst.get(byte));
  /** Those whose first bytes end before `end`; the rest may go on to `length`. */
  const lookAt = (end: number, length: number): void => {
    for (let i = 0; i + FOUND_BYTES <= end; i++) {
      const candidates = wanted[chunk[i]!];
      if (candidates === undefined) continue;
      for (const secret of candidates) {
        const { name } = secret;
        const there = secret.bytesAt(chunk, i, length);
        if (there < FOUND_BYTES) continue;
        found[name] = (found[name] ?? 0) + 1;
        longest[name] = Math.max(longest[name] ?? 0, there);
      }
    }
  };
  let bytes = 0;
  const file = openSync("/proc/self/mem", "r");
  const pagemap = openSync("/proc/self/pagemap", "r");
  try {
    for (const mapping of writableMappings()) {
      for (const { start, end } of touchedRanges(pagemap, mapping)) {
        const from = Math.max(start - OVERLAP_BYTES, mapping.start);
        let length = 0;
        try {
          length = readSync(file, chunk, 0, Math.min(end + BEHIND_BYTES, mapping.end) - from, from);
        } catch {
          break; // gone meanwhile
        }
        const looked = Math.min(end - from, length);
        bytes += looked;
        lookAt(looked, length);
      }
    }
  } finally {
    closeSync(file);
    closeSync(pagemap);
    chunk.fill(0);
  }
  return { found, longest, bytes };
}

const SEARCHES = 3;
const MOST_OF_IT = 0.9;

/**
 * As `findSecrets`, with the share of the memory that was looked at. Threads of the runtime map and free memory meanwhile, which
 * a search may miss: then it is made again, three times in all.
 */
export function searchMemory(
  secrets: readonly HiddenSecret[],
): ReturnType<typeof findSecrets> & { lookedAt: number } {
  for (let search = 1; ; search++) {
    const result = findSecrets(secrets);
    const lookedAt = result.bytes / ownBytes();
    if (lookedAt > MOST_OF_IT || search === SEARCHES) return { ...result, lookedAt };
  }
}

/**
 * Newer V8, when it leaves optimized code, saves all registers in memory that it frees as it is. Vector registers hold
 * bytes that were copied last: 16 each, 32 where two lie side by side, in one to five places (docs/SECURITY.md).
 */
const KEPT_IN_REGISTERS =
  runtimeId === "node26" || runtimeId === "deno" ? { bytes: 32, places: 5 } : undefined;

/**
 * What was found, as `name: places × most bytes`, without pieces of plaintext that are no longer than saved registers.
 * A plaintext (`isPlaintext`) must hold more than 32 bytes of its secret, so that a copy of it can't be taken for such a piece.
 */
export function leftInMemory(
  { found, longest }: Pick<ReturnType<typeof findSecrets>, "found" | "longest">,
  isPlaintext: (name: string) => boolean = (name) => name.startsWith("plaintext"),
): string[] {
  const names = Object.keys(found).filter((name) => {
    if (KEPT_IN_REGISTERS === undefined || !isPlaintext(name)) return true;
    const { bytes, places } = KEPT_IN_REGISTERS;
    return longest[name]! > bytes || found[name]! > places;
  });
  return names.map((name) => `${name}: ${found[name]} × ${longest[name]} bytes`);
}
