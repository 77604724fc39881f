// Knows which functions copy a body before they return. A wrapper that replaces such a function may keep the body.

import type { Call, CallOptions, SendOptions } from "./peer.ts";

/** The functions of a caller that copy bodies, as they were made. Whatever else is called in their name is a wrapper's. */
export interface CopyingFunctions {
  readonly call: (body: Uint8Array, options?: CallOptions) => Call;
  readonly send: (body: Uint8Array, options?: SendOptions) => Promise<void>;
}

/** Of what has such functions: which they are. No name that an object of the application has. */
export const copyingFunctions: unique symbol = Symbol("copying functions");
