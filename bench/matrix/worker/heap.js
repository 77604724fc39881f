// Bytes allocated on the JavaScript heap between two points of one process.
//  - Node 26 and Deno: V8's own counter, total_allocated_bytes.
//  - Node 20: V8's GC records. The sum is the used bytes before each collection less those after the previous one, with
//    the heap's size at both ends.
//  - Bun: the bench starts the process with JavaScriptCore's collector off, so the growth of the resident set is the
//    allocated bytes, memory outside the heap included.
import v8 from "node:v8";

const collectorIsOff = typeof Bun !== "undefined" && process.env.BUN_JSC_useGC === "0";

/** What `HeapMeter` counts here, for the report; undefined where it can't. */
export function heapMethod() {
  if (typeof Bun !== "undefined") return collectorIsOff ? "resident set, collector off" : undefined;
  if (v8.getHeapStatistics().total_allocated_bytes !== undefined) return "V8 total_allocated_bytes";
  return typeof v8.GCProfiler === "function" ? "V8 GC records" : undefined;
}

export class HeapMeter {
  start() {
    this.method = heapMethod();
    if (this.method === "V8 GC records") {
      this.profiler = new v8.GCProfiler();
      this.profiler.start();
    }
    this.before = this.#now();
  }

  /** @returns {number} bytes since start() */
  stop() {
    const after = this.#now();
    if (this.profiler === undefined) return after - this.before;
    let allocated = 0;
    let used = this.before;
    for (const { beforeGC, afterGC } of this.profiler.stop().statistics) {
      allocated += beforeGC.heapStatistics.usedHeapSize - used;
      used = afterGC.heapStatistics.usedHeapSize;
    }
    return allocated + after - used;
  }

  #now() {
    if (this.method === "resident set, collector off") return process.memoryUsage.rss();
    const heap = v8.getHeapStatistics();
    return this.method === "V8 GC records" ? heap.used_heap_size : heap.total_allocated_bytes;
  }
}
