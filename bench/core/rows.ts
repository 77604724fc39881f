// The type of a bench row. One file per primitive (aes256gcm.ts, …) exports a function that returns its rows. worker.ts
// runs the rows in one runtime; ../core.js runs the worker in every runtime and prints the table.

export interface Row {
  /** "AES-256-GCM", "X25519", … */
  primitive: string;
  /** What one operation is: "seal", "shared secret", "hash" … */
  operation: string;
  /** "sealwire", with the engine after a comma where there are several, or the name of a control. */
  implementation: string;
  /** Bytes of one message; undefined where operations have no size. */
  bytes?: number;
  /** Messages per call; 1 where that means nothing. */
  batch: number;
  /** Called once before the row is timed. */
  prepare?(): void;
  /** Does `batch` operations, synchronously or not. Its result is not used. */
  run(): unknown;
}

export interface RowOptions {
  /** Fewer sizes and batches. */
  quick: boolean;
}

export type RowsOf = (options: RowOptions) => Row[] | Promise<Row[]>;

/** Times in nanoseconds per operation. */
export interface Measured {
  primitive: string;
  operation: string;
  implementation: string;
  bytes: number | null;
  batch: number;
  min: number;
  median: number;
  /** Garbage collection included. */
  mean: number;
}

/** Stops the bench when a row does not do what it says: correctness comes before timing. */
export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`bench row gives wrong results: ${what}`);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
