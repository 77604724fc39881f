/** The runtime, as far as tuning depends on it. */
export type RuntimeName = "node" | "bun" | "deno" | "other";

export const runtimeName: RuntimeName = detectRuntime();

function detectRuntime(): RuntimeName {
  if ("Bun" in globalThis) return "bun";
  if ("Deno" in globalThis) return "deno";
  return typeof process === "object" && process.versions?.node !== undefined ? "node" : "other";
}
