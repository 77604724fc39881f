// Finds out which calls, messages and connections are this package's own and not wrappers. An own one copies written
// bytes before the call returns, and no other code has the bytes that it gives.

import { wipe } from "../core/wipe.ts";
import { PendingCall } from "../rpc/call.ts";
import { type CopyingFunctions, copyingFunctions } from "../rpc/copyingCaller.ts";
import { IncomingMessage } from "../rpc/message.ts";
import type { Call, Message } from "../rpc/peer.ts";
import type { TypedCaller } from "./typedCaller.ts";

const ownWrites: ReadonlySet<unknown> = new Set([
  PendingCall.prototype.write,
  IncomingMessage.prototype.write,
]);

/** Of a call or a message with streams. */
export function isOwnStream(stream: Pick<Message, "write">): boolean {
  return ownWrites.has(stream.write);
}

/**
 * Wipes the body of an answer that was read, if no other code has it. A subscriber that traces a call gets its answer.
 */
export function wipeAnswer(call: Call, body: Uint8Array): void {
  if (call instanceof PendingCall && isOwnStream(call) && !call.isTraced) wipe(body);
}

/** The functions of a caller object that copy their bodies; undefined if it has none. */
export function copyingFunctionsOf(caller: TypedCaller): CopyingFunctions | undefined {
  return (caller as { [copyingFunctions]?: CopyingFunctions })[copyingFunctions];
}
