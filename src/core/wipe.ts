import type { OwnBytes } from "./bytes.ts";

const fill = Uint8Array.prototype.fill;

/**
 * Overwrites secret bytes with zeros. Not `bytes.fill(0)`: on a Buffer that is Deno's own loop, which is much slower
 * than the engine's.
 */
export function wipe(bytes: Uint8Array): void {
  fill.call(bytes, 0);
}

/**
 * Memory for a secret. Not `new Uint8Array(length)`: V8 stores up to 64 bytes within its heap, where the collector
 * moves them and leaves copies behind that nobody can wipe. JavaScriptCore does the same with up to 1,000 bytes when
 * their buffer is read.
 */
export function secretBytes(length: number): OwnBytes {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A copy of a secret that stays where it is until its owner wipes it. */
export function secretCopy(secret: Uint8Array): OwnBytes {
  const copy = secretBytes(secret.length);
  copy.set(secret);
  return copy;
}
