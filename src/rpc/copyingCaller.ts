// Knows which functions copy a body before they return. A wrapper that replaces such a function may keep the body.

import type { Call, CallOptions, SendOptions } from "./peer.ts";

/**
 * The functions of a caller that copy bodies, as this package made them. Any other function under their names is a
 * wrapper's.
 */
export interface CopyingFunctions {
  readonly call: (body: Uint8Array, options?: CallOptions) => Call;
  readonly send: (body: Uint8Array, options?: SendOptions) => Promise<void>;
}

/**
 * The property of an object that holds its copying functions. As a symbol it collides with no name of the application.
 */
export const copyingFunctions: unique symbol = Symbol("copying functions");
