// Looks for secrets in all memory that this process can write: heap, array buffers, linear memory, the runtime's own.
// Linux only (/proc/self/mem). Whoever looks for bytes must not hold them, so a secret is kept as two halves whose
// exclusive or it is, and is put together for moments only.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { secretBytes } from "../../src/core/wipe.ts";

/** A secret that is nowhere in memory as such. */
export class HiddenSecret {
  readonly name: string;
  readonly #left: Uint8Array;
  readonly #right: Uint8Array;

  /** Takes the secret over and leaves zeros where it was. */
  constructor(name: string, secret: Uint8Array) {
    this.name = name;
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

  /** Whether its first 16 bytes are in `bytes` at `at`. */
  isAt(bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < 16; i++) if ((bytes[at + i]! ^ this.#right[i]!) !== this.#left[i]!) return false;
    return true;
  }

  get firstByte(): number {
    return this.#left[0]! ^ this.#right[0]!;
  }
}

const CHUNK_BYTES = 1_048_576;
const OVERLAP_BYTES = 15;
const chunk = new Uint8Array(CHUNK_BYTES);

/** The writable mappings of this process, without those of devices. */
function writableMappings(): { start: number; end: number }[] {
  return readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .flatMap((line) => {
      const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) rw\S* \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      if (start === undefined || name!.startsWith("/dev/") || name!.startsWith("[v")) return [];
      return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end!, 16) }];
    });
}

/** How often each secret (half of it: 16 bytes) is in memory, by name, and how many bytes were looked at. */
export function findSecrets(secrets: readonly HiddenSecret[]): {
  found: Record<string, number>;
  bytes: number;
} {
  const found: Record<string, number> = {};
  const byFirst = new Map<number, HiddenSecret[]>();
  for (const secret of secrets) {
    const same = byFirst.get(secret.firstByte) ?? [];
    byFirst.set(secret.firstByte, [...same, secret]);
  }
  const wanted = Array.from({ length: 256 }, (_, byte) => byFirst.get(byte));
  let bytes = 0;
  const file = openSync("/proc/self/mem", "r");
  try {
    for (const { start, end } of writableMappings()) {
      for (let at = start; at < end; at += CHUNK_BYTES - OVERLAP_BYTES) {
        let length = 0;
        try {
          length = readSync(file, chunk, 0, Math.min(CHUNK_BYTES, end - at), at);
        } catch {
          break; // gone meanwhile
        }
        bytes += length;
        for (let i = 0; i + 16 <= length; i++) {
          const candidates = wanted[chunk[i]!];
          if (candidates === undefined) continue;
          for (const secret of candidates)
            if (secret.isAt(chunk, i)) found[secret.name] = (found[secret.name] ?? 0) + 1;
        }
      }
    }
  } finally {
    closeSync(file);
    chunk.fill(0);
  }
  return { found, bytes };
}
