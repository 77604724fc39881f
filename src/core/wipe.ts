const fill = Uint8Array.prototype.fill;

/**
 * Overwrites secret bytes with zeros. Not `bytes.fill(0)`: on a Buffer that is Deno's own loop, 40 times
 * slower than the engine's (64 KiB in 29 µs against 0.8).
 */
export function wipe(bytes: Uint8Array): void {
  fill.call(bytes, 0);
}
