// What new memory costs on this machine, and how a bench leaves that out.
//
// Where the pages of a virtual machine are kept by its host, the first touch of a page can cost 13 to 19 µs. Then a row
// shows how often its allocator gave memory back to the system and took it again, and little else.
import process from "node:process";

const PAGE_BYTES = 4_096;
const PAGES = 8_192;

/** Allocators keep what was freed: glibc's (Node, Deno) with allocations up to 32 MiB, and mimalloc (Bun). */
const KEPT = {
  MALLOC_TRIM_THRESHOLD_: "2147483647",
  MALLOC_MMAP_THRESHOLD_: "33554432",
  MIMALLOC_PURGE_DELAY: "-1",
};

/** Lets the processes that start from now on keep the memory that they have freed. */
export function keepMemory() {
  Object.assign(process.env, KEPT);
}

/** The microseconds that the first touch of a page takes. */
export function pageTouchUs() {
  const bytes = new Uint8Array(PAGES * PAGE_BYTES);
  const begin = performance.now();
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) bytes[at] = 1;
  return Number((((performance.now() - begin) * 1_000) / PAGES).toFixed(2));
}
