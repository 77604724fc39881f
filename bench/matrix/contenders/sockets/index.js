// Chooses the socket code of the current runtime. Each is written against its runtime's own API.

/** @returns {Promise<typeof import("./node.js")>} */
export function runtimeSockets() {
  if (typeof Bun !== "undefined") return import("./bun.js");
  if (typeof Deno !== "undefined") return import("./deno.js");
  return import("./node.js");
}
