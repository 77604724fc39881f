// The modules of Node that keep files. None is imported: webpack hoists the modules of Node that a late part imports into
// the first file of a program, each as a CommonJS module of its own. Deno takes the last of these for what the program
// exports, and can't resolve it.

import type * as NodeBuffer from "node:buffer";
import type * as NodeFs from "node:fs";
import type * as NodeFiles from "node:fs/promises";
import type * as NodePath from "node:path";
import { nodeModule } from "../adapters/nodeModules.ts";

export const files = (): typeof NodeFiles => nodeModule("fs/promises");
export const paths = (): typeof NodePath => nodeModule("path");
export const buffers = (): typeof NodeBuffer.Buffer => nodeModule("buffer").Buffer;
/** The flags of open(2), as this system has them. */
export const flags = (): typeof NodeFs.constants => nodeModule("fs").constants;

/**
 * Flags for opening a path whose symbolic links are resolved. O_NOFOLLOW refuses a link that was put there meanwhile,
 * and O_NONBLOCK does not wait for a FIFO. Windows has neither.
 */
export function safely(): number {
  const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = flags();
  return O_NOFOLLOW | O_NONBLOCK;
}
